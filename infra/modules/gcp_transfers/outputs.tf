output "account" {
  description = "The service account that the transfers run as."
  value       = google_service_account.this.email
}
