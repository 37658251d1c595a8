output "subscription" {
  description = "The subscription's name."
  value       = google_pubsub_subscription.this.name
}

output "dead" {
  description = "The dead-letter subscription's name."
  value       = google_pubsub_subscription.dead.name
}
