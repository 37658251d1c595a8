variable "pipelines" {
  type        = string
  description = "The folder of settings files (*.yaml) that the functions are packed with."
}

variable "needs" {
  type        = string
  description = "The page that says what each function needs (infra/needs.yaml)."
}

variable "name" {
  type        = string
  description = "What the names of all resources begin with."
}

variable "scheme" {
  type        = string
  description = "What the buckets' addresses begin with on this cloud: gs or s3."
}
