variable "name" {
  type        = string
  description = "The function's full name; its role and log group bear it too."
}

variable "handler" {
  type        = string
  description = "module.function within the package."
}

variable "package" {
  type        = object({ bucket = string, key = string, hash = string })
  description = "The zip in S3, and its SHA-256 in base64."
}

variable "python" {
  type        = string
  description = "The Python version that the package was built for, e.g. 3.12."
}

variable "timeout_seconds" {
  type        = number
  description = "How long one call may take."

  validation {
    condition     = var.timeout_seconds <= 900
    error_message = "A Lambda function may run for 900 seconds at most."
  }
}

variable "memory_mb" {
  type        = number
  description = "Memory; processor time comes with it (a whole processor at 1,769 MB)."
}

variable "disk_mb" {
  type        = number
  description = "Room under /tmp, 512 to 10,240 MB; what is above 512 costs a five-hundredth of as much memory."
}

variable "reserved" {
  type        = number
  description = "Calls at the same time, kept for this function and never exceeded; -1 takes them from the account's pool."
}

variable "environment" {
  type        = map(string)
  description = "The function's environment variables. None of them may be a secret: they stand in the state."
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
  description = "ARNs of the secrets it reads."
}

variable "queues" {
  type        = list(string)
  description = "ARNs of the queues it works off."
}

variable "pauses" {
  type        = bool
  description = "Whether it says itself when a message that failed comes again."
}

variable "log_days" {
  type        = number
  description = "How long logs are kept."
}

variable "alarm_topics" {
  type        = list(string)
  description = "SNS topics that are told when a call fails."
}
