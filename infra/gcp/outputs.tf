output "webhook_urls" {
  description = "Where each sender's webhooks go."
  value       = { for name in module.settings.webhooks : name => "${module.function["relay_webhook"].url}/hooks/${name}" }
}

output "status_page" {
  description = "How to open the status page: the command puts it on localhost:8080, as you."
  value       = "gcloud run services proxy ${module.function["status_page"].name} --project ${var.project} --region ${var.region}"
}

output "buckets" {
  description = "The buckets in use."
  value       = { state = local.state.bucket, exports = local.exports.bucket }
}

output "functions" {
  description = "Full names of all functions, by the names used here."
  value       = { for key, function in module.function : key => function.name }
}

output "queues" {
  description = "Subscription and dead-letter subscription of each function that works one off."
  value       = { for key, queue in module.queue : key => { queue = queue.subscription, dead = queue.dead } }
}

output "secret_commands" {
  description = "Commands that put the secrets' values in; each reads the value from the terminal."
  value = [
    for name in sort(local.made_secrets) :
    "gcloud secrets versions add ${name} --project ${var.project} --data-file=-"
  ]
}

output "exports_setup" {
  description = "What to set up at the vendors so that their exports arrive here, by feed."
  value       = module.settings.setup
}
