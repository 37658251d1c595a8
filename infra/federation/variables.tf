variable "project" {
  type        = string
  description = "The Google Cloud project with the warehouse."
}

variable "name" {
  type        = string
  description = "The same `name` as in infra/aws."
  default     = "rowferry"
}

variable "aws_account" {
  type        = string
  description = "The AWS account in which the functions run."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account))
    error_message = "Twelve digits."
  }
}

variable "pipelines" {
  type        = string
  description = "The same folder of settings files as in infra/aws."
  default     = "../pipelines"
}

variable "existing_datasets" {
  type        = set(string)
  description = "Datasets that feeds and pulls write to and that exist already; those that are only read need not be named."
  default     = []
}

variable "source_datasets" {
  type        = set(string)
  description = "Datasets that a sync's or alert's `sql` reads besides those named in `table:`; Terraform does not read SQL."
  default     = []
}

variable "enable_apis" {
  type        = bool
  description = "Switch on the Google APIs that are needed; false where that is done elsewhere."
  default     = true
}

variable "labels" {
  type        = map(string)
  description = "Labels for the datasets, e.g. for the cost report."
  default     = {}
}
