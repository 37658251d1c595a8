output "policies" {
  description = "The alert policies' ids."
  value       = [google_monitoring_alert_policy.dead.id, google_monitoring_alert_policy.errors.id]
}
