variable "project" {
  type        = string
  description = "The Google Cloud project in which the functions run."
}

variable "region" {
  type        = string
  description = "Where the functions run, e.g. europe-west1; near the warehouse and the buckets."
}

variable "name" {
  type        = string
  description = "What the names of all resources begin with; two deployments in one project need two names."
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
  default     = "../../build/gcp"
}

variable "bucket_location" {
  type        = string
  description = "Where buckets are made; the warehouse's location when null, so that loads and exports stay in one place."
  default     = null
}

variable "existing_buckets" {
  type        = set(string)
  description = "Buckets of the settings that exist already and are not made here."
  default     = []
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

variable "existing_secrets" {
  type        = set(string)
  description = "Secrets of the settings that exist already in Secret Manager and are not made here."
  default     = []
}

variable "environment" {
  type        = map(string)
  description = "Values for the settings' `env:NAME` references. Not for secrets: they stand in Terraform's state; write `secret:NAME` for those."
  default     = {}
}

variable "enable_apis" {
  type        = bool
  description = "Switch on the Google APIs that are needed; false where that is done elsewhere."
  default     = true
}

variable "status_page_readers" {
  type        = list(string)
  description = "Who may open the status page: user:…, group:…, domain:…."
  default     = []
}

variable "public_webhooks" {
  type        = bool
  description = "Let anybody call the webhook address (it checks signatures). An organisation that forbids allUsers sets false and puts a gateway in front."
  default     = true
}

variable "webhook_callers" {
  type        = list(string)
  description = "With public_webhooks = false: who may call the webhook address, e.g. the gateway's service account."
  default     = []
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

variable "force_destroy" {
  type        = bool
  description = "Let `terraform destroy` delete buckets that still hold objects. Set it only to take a deployment down for good."
  default     = false
}

variable "notification_channels" {
  type        = list(string)
  description = "Monitoring channels (their full ids) that are told of errors and dead letters."
  default     = []
}

variable "transfers" {
  type = map(object({
    path     = string
    table    = string
    format   = optional(string, "CSV")
    skip     = optional(number, 1)
    schedule = optional(string, "every 15 minutes")
  }))
  description = <<-EOT
    For those who want no code at all for a feed: BigQuery's own transfers, by name. `path` is below the exports
    bucket and may hold *; `table` is dataset.table and must exist. No deduplication, no rejected cells, no quarantine:
    a run with one bad file loads nothing.
  EOT
  default     = {}
}

variable "labels" {
  type        = map(string)
  description = "Labels for everything, e.g. for the cost report."
  default     = {}
}
