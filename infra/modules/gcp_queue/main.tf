# A bucket's events on their way to a function: a filtered push subscription, and where events end that fail for ever.

resource "google_pubsub_subscription" "this" {
  project                    = var.project
  name                       = var.name
  topic                      = var.topic
  labels                     = var.labels
  filter                     = var.prefix == "" ? null : "hasPrefix(attributes.objectId, \"${var.prefix}\")"
  ack_deadline_seconds       = 600 # the most; also how long one push may take
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = var.url
    oidc_token {
      service_account_email = var.caller
      audience              = var.url
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = var.tries
  }

  expiration_policy {
    ttl = "" # never: 31 quiet days would delete it
  }
}

resource "google_pubsub_topic" "dead" {
  project = var.project
  name    = "${var.name}-dead"
  labels  = var.labels
}

# A dead-letter topic that nobody subscribes to drops what it is given.
resource "google_pubsub_subscription" "dead" {
  project                    = var.project
  name                       = "${var.name}-dead"
  topic                      = google_pubsub_topic.dead.id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days, the most

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead" {
  project = var.project
  topic   = google_pubsub_topic.dead.id
  role    = "roles/pubsub.publisher"
  member  = var.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "source" {
  project      = var.project
  subscription = google_pubsub_subscription.this.id
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}
