output "arn" {
  description = "The queue, ready to take the buckets' notifications."
  value       = aws_sqs_queue.this.arn

  # S3 checks that it may send before it keeps a notification.
  depends_on = [aws_sqs_queue_policy.this]
}

output "url" {
  description = "The queue's address."
  value       = aws_sqs_queue.this.id
}

output "dead_url" {
  description = "The dead-letter queue's address."
  value       = aws_sqs_queue.dead.id
}
