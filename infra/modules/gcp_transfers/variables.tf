variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "name" {
  type        = string
  description = "What the names of all resources begin with."
}

variable "exports" {
  type        = object({ bucket = string, folder = string })
  description = "The exports bucket, and the folder in it (\"\" or \"folder/\")."
}

variable "warehouse" {
  type        = object({ project = string, location = string })
  description = "The project and location of the tables."
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
}
