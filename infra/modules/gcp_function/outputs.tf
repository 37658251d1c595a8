output "url" {
  description = "The function's own address, to be called with an identity token for it."
  value       = google_cloudfunctions2_function.this.service_config[0].uri

  # A caller's first call comes at once.
  depends_on = [google_cloud_run_v2_service_iam_member.callers]
}

output "name" {
  description = "The function's name, once it exists."
  value       = google_cloudfunctions2_function.this.name
}

output "account" {
  description = "Its service account's address."
  value       = google_service_account.this.email
}
