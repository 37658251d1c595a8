output "webhook_urls" {
  description = "Where each sender's webhooks go."
  value       = { for name in module.settings.webhooks : name => "${aws_apigatewayv2_api.this.api_endpoint}/hooks/${name}" }
}

output "status_page" {
  description = "The status page; requests are signed (curl --aws-sigv4), its reader needs execute-api:Invoke on status_page_arn."
  value       = "${aws_apigatewayv2_api.this.api_endpoint}/"
}

output "status_page_arn" {
  description = "What a reader of the status page must be allowed to invoke."
  value       = "${aws_apigatewayv2_api.this.execution_arn}/$default/GET/"
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
  description = "Queue and dead-letter queue of each function that works one off."
  value       = { for key, queue in module.queue : key => { queue = queue.url, dead = queue.dead_url } }
}

output "secret_commands" {
  description = "Commands that put the secrets' values in; each reads the value from the terminal."
  value = [
    for name in sort(setsubtract(module.settings.secrets, var.existing_secrets)) :
    "aws secretsmanager put-secret-value --region ${var.region} --secret-id ${name} --secret-string file:///dev/stdin"
  ]
}

output "exports_setup" {
  description = "What to set up at the vendors so that their exports arrive here, by feed."
  value       = module.settings.setup
}
