variable "name" {
  type        = string
  description = "The queue's full name; the dead-letter queue's is this and -dead."
}

variable "buckets" {
  type        = list(string)
  description = "Buckets whose notifications the queue takes."
}

variable "account" {
  type        = string
  description = "The AWS account that owns the buckets."
}

variable "partition" {
  type        = string
  description = "aws, or the partition of another kind of account."
}

variable "function_arn" {
  type        = string
  description = "The function that works the queue off."
}

variable "function_timeout_seconds" {
  type        = number
  description = "How long one call of the function may take."
}

variable "batch" {
  type        = number
  description = "Events handed over in one call."
}

variable "instances" {
  type        = number
  description = "Calls at the same time, at most. The service's least is 2."
}

variable "tries" {
  type        = number
  description = "Deliveries of one event before it goes to the dead-letter queue."
}

variable "alarm_topics" {
  type        = list(string)
  description = "SNS topics that are told when something lies in the dead-letter queue."
}
