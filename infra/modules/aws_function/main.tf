# One Lambda function: its role with what it uses, its log, its alarm.

data "aws_partition" "this" {}

locals {
  # Who writes an object on a condition that fails looks at what stands there, hence s3:GetObject for all.
  objects = {
    read   = ["s3:GetObject"]
    add    = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    change = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
  }
  bucket_arns = { for name, store in var.stores : name => "arn:${data.aws_partition.this.partition}:s3:::${store.bucket}" }

  object_statements = flatten([
    for name, store in var.stores : [
      for access, actions in local.objects : {
        Sid      = "${title(name)}${title(access)}"
        Effect   = "Allow"
        Action   = actions
        Resource = [for folder in sort(keys(store.access)) : "${local.bucket_arns[name]}/${store.folder}${folder == "" ? "" : "${folder}/"}*" if store.access[folder] == access]
      } if contains(values(store.access), access)
    ]
  ])
  listed = { for name, store in var.stores : name => sort(keys(store.access)) }
  # Without the right to list, S3 answers 403 instead of 404 for an object that is not there. A request
  # for an object bears no prefix, hence "IfExists": with a plain condition the 404 would be lost again.
  list_statements = [
    for name, folders in local.listed : {
      Sid       = "${title(name)}List"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
      Resource  = [local.bucket_arns[name]]
      Condition = { StringLikeIfExists = { "s3:prefix" = [for folder in folders : "${var.stores[name].folder}${folder == "" ? "" : "${folder}/"}*"] } }
    } if length(folders) > 0
  ]
  secret_statements = [
    for arns in [var.secrets] : { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = arns } if length(arns) > 0
  ]
  queue_statements = [
    for arns in [var.queues] : {
      Sid      = "Queue"
      Effect   = "Allow"
      Action   = concat(var.pauses ? ["sqs:ChangeMessageVisibility"] : [], ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"])
      Resource = arns
    } if length(arns) > 0
  ]
  log_statement = {
    Sid      = "Log"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${aws_cloudwatch_log_group.this.arn}:*"] # the streams of this group; Lambda names them
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "needs"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.log_statement], local.object_statements, local.list_statements, local.secret_statements, local.queue_statements)
  })
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  role                           = aws_iam_role.this.arn
  runtime                        = "python${var.python}"
  architectures                  = ["x86_64"] # what the package's compiled wheels are for
  handler                        = var.handler
  s3_bucket                      = var.package.bucket
  s3_key                         = var.package.key
  source_code_hash               = var.package.hash
  timeout                        = var.timeout_seconds
  memory_size                    = var.memory_mb
  reserved_concurrent_executions = var.reserved

  ephemeral_storage {
    size = var.disk_mb
  }

  environment {
    variables = var.environment
  }

  # Lambda would make a log group of its own that keeps everything for ever.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.name}-errors"
  alarm_description   = "Calls of ${var.name} fail; its log group is ${aws_cloudwatch_log_group.this.name}."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}
