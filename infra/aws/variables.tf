variable "region" {
  type        = string
  description = "Where everything stands. The exports bucket must be in this region."
}

variable "name" {
  type        = string
  description = "What the names of all resources begin with; two deployments in one account need two names."
  default     = "rowferry"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, 2 to 20 of them, a letter first."
  }
}

variable "pipelines" {
  type        = string
  description = "The folder of settings files; the packages must have been built from the same one."
  default     = "../pipelines"
}

variable "build" {
  type        = string
  description = "The folder that `make package` has written."
  default     = "../../build/aws"
}

variable "google_project_number" {
  type        = string
  description = "Number (not id) of the Google Cloud project with the warehouse: gcloud projects describe PROJECT --format='value(projectNumber)'."

  validation {
    condition     = can(regex("^[0-9]+$", var.google_project_number))
    error_message = "The project's number, digits alone."
  }
}

variable "existing_buckets" {
  type        = set(string)
  description = "Buckets of the settings that exist already and are not made here. Their notifications are replaced: S3 keeps one set for each bucket."
  default     = []
}

variable "existing_secrets" {
  type        = set(string)
  description = "Secrets of the settings that exist already in Secrets Manager and are not made here."
  default     = []
}

variable "environment" {
  type        = map(string)
  description = "Values for the settings' `env:NAME` references. Not for secrets: they stand in Terraform's state; write `secret:NAME` for those."
  default     = {}
}

variable "reserve_concurrency" {
  type        = bool
  description = "Hold a destination with one instance to exactly one. An account with Lambda's starting quota of 10 can't reserve: raise the quota, or set false, which allows two."
  default     = true
}

variable "webhooks_per_second" {
  type        = number
  description = "Requests a second that the public address takes in; more are answered 429. Bursts of five times as many pass."
  default     = 200
}

variable "keep_days" {
  type        = number
  description = "How long delivered chunks, receipts, claims and relayed webhooks are kept. A run left open for longer can't be resumed."
  default     = 45

  validation {
    condition     = var.keep_days >= 7
    error_message = "At least 7 days: less could take a chunk away from a run that is still open."
  }
}

variable "quarantine_days" {
  type        = number
  description = "How long quarantined files are kept."
  default     = 180
}

variable "log_days" {
  type        = number
  description = "How long logs are kept (one of CloudWatch's steps: 1, 3, 5, 7, 14, 30, 60, 90, 365 …)."
  default     = 30
}

variable "force_destroy" {
  type        = bool
  description = "Let `terraform destroy` delete buckets that still hold objects. Set it only to take a deployment down for good."
  default     = false
}

variable "alarm_topics" {
  type        = list(string)
  description = "ARNs of SNS topics that are told of errors and dead letters."
  default     = []
}

variable "tags" {
  type        = map(string)
  description = "Tags for everything, e.g. for the cost report."
  default     = {}
}

variable "endpoint" {
  type        = string
  description = "An emulator's address; null is the cloud."
  default     = null
}
