output "google_project_number" {
  description = "What infra/aws wants as google_project_number."
  value       = data.google_project.this.number
}
