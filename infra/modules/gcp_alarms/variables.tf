variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "name" {
  type        = string
  description = "What the names of all functions and subscriptions begin with."
}

variable "notification_channels" {
  type        = list(string)
  description = "Monitoring channels (their full ids) that are told."
}

variable "labels" {
  type        = map(string)
  description = "Labels for the cost report."
}
