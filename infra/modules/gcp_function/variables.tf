variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "region" {
  type        = string
  description = "Where the function runs."
}

variable "name" {
  type        = string
  description = "The function's full name."
}

variable "account_id" {
  type        = string
  description = "The name of its service account: 6 to 30 characters."
}

variable "entry_point" {
  type        = string
  description = "The function within the package; its file bears the same name."
}

variable "package" {
  type        = object({ bucket = string, object = string })
  description = "The zip in Cloud Storage. Its name holds its hash, so that a new one is deployed."
}

variable "python" {
  type        = string
  description = "The Python version that the package was made for, e.g. 3.12."
}

variable "build_account" {
  type        = string
  description = "The service account that builds the image (its full id)."
}

variable "timeout_seconds" {
  type        = number
  description = "How long one call may take."
}

variable "memory_mb" {
  type        = number
  description = "Memory of one instance; files under /tmp count."
}

variable "instances" {
  type        = number
  description = "Instances at the same time, at most. Cloud Run may exceed it for a moment."
}

variable "at_once" {
  type        = number
  description = "Calls that one instance works on at the same time."
}

variable "environment" {
  type        = map(string)
  description = "The function's environment variables. None of them may be a secret: they stand in the state."
}

variable "callers" {
  type        = list(string)
  description = "Who may call it: serviceAccount:…, user:…, group:…, or allUsers where it checks a signature itself."
}

variable "stores" {
  type = map(object({
    bucket = string
    folder = string
    access = map(string)
  }))
  description = "What it may do in buckets, by folder below `folder` (\"\": all of it): read, add or change."
}

variable "secrets" {
  type        = list(string)
  description = "Names of the secrets it reads."
}

variable "datasets" {
  type        = map(string)
  description = "What it may do in BigQuery, by dataset: read or change."
}

variable "warehouse_project" {
  type        = string
  description = "The project that holds the datasets and runs the queries."
}

variable "labels" {
  type        = map(string)
  description = "Labels for the cost report."
}
