variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "name" {
  type        = string
  description = "The subscription's full name; the dead-letter topic and its subscription are this and -dead."
}

variable "topic" {
  type        = string
  description = "The topic that a bucket's notifications go to."
}

variable "prefix" {
  type        = string
  description = "Only objects whose names begin so; \"\" takes all of the topic's."
}

variable "url" {
  type        = string
  description = "The function's address."
}

variable "caller" {
  type        = string
  description = "The service account that the function is called as."
}

variable "tries" {
  type        = number
  description = "Deliveries of one event before it goes to the dead-letter topic: 5 to 100."
}

variable "pubsub_agent" {
  type        = string
  description = "Pub/Sub's own service account of this project, as serviceAccount:…; it moves events to the dead-letter topic."
}

variable "labels" {
  type        = map(string)
  description = "Labels for the cost report."
}
