output "arn" {
  description = "The function, for what calls it."
  value       = aws_lambda_function.this.arn
}

output "name" {
  description = "The function's name, once it exists."
  value       = aws_lambda_function.this.function_name
}
