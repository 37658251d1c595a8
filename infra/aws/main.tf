# Rowferry on AWS. What is deployed follows from the settings (infra/pipelines) and from what each
# function needs (infra/needs.yaml); modules/settings reads both.

module "settings" {
  source    = "../modules/settings"
  name      = var.name
  pipelines = var.pipelines
  needs     = "${path.module}/../needs.yaml"
  scheme    = "s3"
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  state     = module.settings.state
  exports   = module.settings.exports
  functions = module.settings.deployments
  names     = module.settings.names


  queued     = { for key, function in local.functions : key => function if contains(["exports", "destination", "receipts"], function.trigger) }
  queue_arns = { for key, function in local.queued : key => "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names[key]}" }
}

# ── Buckets ─────────────────────────────────────────────────────────────────────────────────

locals {
  buckets    = distinct([local.state.bucket, local.exports.bucket])
  made       = setsubtract(local.buckets, var.existing_buckets)
  bucket_ids = { for bucket in local.buckets : bucket => contains(local.made, bucket) ? aws_s3_bucket.this[bucket].id : bucket }
  expiry = {
    outbox     = var.keep_days
    receipts   = var.keep_days
    claims     = var.keep_days
    journal    = var.keep_days
    webhooks   = var.keep_days
    quarantine = var.quarantine_days
  }
}

resource "aws_s3_bucket" "this" {
  for_each      = local.made
  bucket        = each.value
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = aws_s3_bucket.this
  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.emulated ? {} : aws_s3_bucket.this # emulators speak plain http
  bucket   = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EncryptedConnectionsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [each.value.arn, "${each.value.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = each.key == local.state.bucket ? local.expiry : {}
    content {
      id     = rule.key
      status = "Enabled"
      filter {
        prefix = "${local.state.folder}${rule.key}/"
      }
      expiration {
        days = rule.value
      }
    }
  }
}

# ── Functions ───────────────────────────────────────────────────────────────────────────────

locals {
  build = jsondecode(file("${var.build}/build.json")) # written by `make package`
  google_credentials = {
    type               = "external_account"
    audience           = "//iam.googleapis.com/projects/${var.google_project_number}/locations/global/workloadIdentityPools/${var.name}-aws/providers/aws"
    subject_token_type = "urn:ietf:params:aws:token-type:aws4_request"
    token_url          = "https://sts.googleapis.com/v1/token"
    credential_source = {
      environment_id                 = "aws1"
      regional_cred_verification_url = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    }
  }
  common_environment = {
    ROWFERRY_CONFIG = "pipelines"
  }
  google_environment = {
    # Says where to exchange the function's AWS identity for a Google one: an address, no key.
    ROWFERRY_GOOGLE_CREDENTIALS = jsonencode(local.google_credentials)
  }
}

resource "aws_s3_object" "package" {
  for_each    = toset([for function in values(local.functions) : function.package])
  bucket      = local.bucket_ids[local.state.bucket]
  key         = "${local.state.folder}packages/${each.key}-${substr(filesha256("${var.build}/${each.key}.zip"), 0, 16)}.zip"
  source      = "${var.build}/${each.key}.zip"
  source_hash = filesha256("${var.build}/${each.key}.zip")
}

module "function" {
  source          = "../modules/aws_function"
  for_each        = local.functions
  name            = local.names[each.key]
  handler         = "${each.value.function}.handler"
  python          = local.build.python
  timeout_seconds = each.value.timeout_seconds
  memory_mb       = each.value.memory_mb
  disk_mb         = each.value.disk_mb
  # Two is the least that a queue's mapping can be held to; one is one by reservation alone.
  reserved     = var.reserve_concurrency && each.value.trigger == "destination" && each.value.instances == 1 ? 1 : -1
  log_days     = var.log_days
  alarm_topics = var.alarm_topics
  package = {
    bucket = aws_s3_object.package[each.value.package].bucket
    key    = aws_s3_object.package[each.value.package].key
    hash   = filebase64sha256("${var.build}/${each.value.package}.zip")
  }
  environment = merge(
    local.common_environment,
    each.value.warehouse == "" ? {} : local.google_environment,
    { for name in each.value.environment : name => var.environment[name] },
  )
  stores = merge(
    { state = { bucket = local.state.bucket, folder = local.state.folder, access = each.value.state } },
    each.value.exports == "" ? {} : { exports = { bucket = local.exports.bucket, folder = local.exports.folder, access = { "" = each.value.exports } } },
  )
  secrets = [for name in each.value.secrets : local.secret_arns[name]]
  queues  = [for key, arn in local.queue_arns : arn if key == each.key]
  pauses  = each.value.pauses
}

# ── Events ──────────────────────────────────────────────────────────────────────────────────

locals {
  watched = {
    exports     = [for start in module.settings.watched : { bucket = local.exports.bucket, prefix = start }]
    receipts    = [{ bucket = local.state.bucket, prefix = "${local.state.folder}receipts/" }]
    destination = [{ bucket = local.state.bucket, prefix = "${local.state.folder}outbox/" }]
  }
  notifications = flatten([
    for key, function in local.queued : [
      for place in local.watched[function.trigger] : {
        queue  = key
        bucket = place.bucket
        prefix = function.trigger == "destination" ? "${place.prefix}${function.destination}/" : place.prefix
      }
    ]
  ])
}

module "queue" {
  source                   = "../modules/aws_queue"
  for_each                 = local.queued
  name                     = local.names[each.key]
  buckets                  = [each.value.trigger == "exports" ? local.exports.bucket : local.state.bucket]
  account                  = local.account
  partition                = local.partition
  function_arn             = module.function[each.key].arn
  function_timeout_seconds = each.value.timeout_seconds
  batch                    = each.value.batch
  tries                    = each.value.tries
  instances                = each.value.instances
  alarm_topics             = var.alarm_topics
}

# S3 keeps one set of notifications for each bucket, so each bucket has one resource for all its queues.
resource "aws_s3_bucket_notification" "this" {
  for_each = toset([for notification in local.notifications : notification.bucket])
  bucket   = local.bucket_ids[each.key]

  dynamic "queue" {
    for_each = [for notification in local.notifications : notification if notification.bucket == each.key]
    content {
      id            = "${queue.value.queue}:${queue.value.prefix}"
      queue_arn     = module.queue[queue.value.queue].arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.value.prefix
    }
  }
}

# ── Timers ──────────────────────────────────────────────────────────────────────────────────

locals {
  timed = distinct([for schedule in values(module.settings.schedules) : schedule.function])
}

resource "aws_iam_role" "timers" {
  name = "${var.name}-timers"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "timers" {
  name = "needs"
  role = aws_iam_role.timers.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Call", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [for name in local.timed : module.function[name].arn] },
      { Sid = "GiveUp", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.timers_dead.arn] },
    ]
  })
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_scheduler_schedule" "this" {
  for_each                     = module.settings.schedules
  name                         = local.names[each.key]
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = each.value.eventbridge
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.function[each.value.function].arn
    role_arn = aws_iam_role.timers.arn
    input    = each.value.input
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
    dead_letter_config {
      arn = aws_sqs_queue.timers_dead.arn
    }
  }

  depends_on = [aws_iam_role_policy.timers]
}

resource "aws_sqs_queue" "timers_dead" {
  name                      = "${var.name}-timers-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_metric_alarm" "timers_dead" {
  alarm_name          = "${var.name}-timers-dead"
  alarm_description   = "A timer could not call its function for an hour. The next tick tries again; look at the function's concurrency and permissions."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.timers_dead.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}

# ── The public address ──────────────────────────────────────────────────────────────────────
# An HTTP API and not a function URL: it has a rate limit, it can have a domain of its own, and a URL has
# needed since October 2025 a second permission that AWS providers before 6.29 can't write.

locals {
  paths = { relay_webhook = ["ANY /hooks/{name}"], status_page = ["GET /", "GET /status.json"] }
  https = { for key, function in local.functions : key => function if function.trigger == "https" }
  routes = merge([
    for key, function in local.https : {
      for route in local.paths[function.function] : route => { function = key, authorization = function.public ? "NONE" : "AWS_IAM" }
    }
  ]...)
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.webhooks_per_second
    throttling_burst_limit = 5 * var.webhooks_per_second
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.requests.arn
    # Never the query: some senders put their token there.
    format = jsonencode({
      time  = "$context.requestTime", id = "$context.requestId", route = "$context.routeKey", status = "$context.status",
      bytes = "$context.responseLength", ip = "$context.identity.sourceIp", error = "$context.integrationErrorMessage"
    })
  }
}

resource "aws_cloudwatch_log_group" "requests" {
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_days
}

resource "aws_apigatewayv2_integration" "this" {
  for_each               = local.https
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = module.function[each.key].arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  for_each           = local.routes
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  authorization_type = each.value.authorization
  target             = "integrations/${aws_apigatewayv2_integration.this[each.value.function].id}"
}

resource "aws_lambda_permission" "https" {
  for_each      = local.routes
  statement_id  = "HttpApi-${substr(sha1(each.key), 0, 8)}"
  action        = "lambda:InvokeFunction"
  function_name = module.function[each.value.function].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*${split(" ", each.key)[1]}"
}

# ── Secrets: the containers alone; values are put in by a person, outside Terraform ─────────

locals {
  secret_arns = merge(
    { for name, secret in aws_secretsmanager_secret.this : name => secret.arn },
    { for name, secret in data.aws_secretsmanager_secret.existing : name => secret.arn },
  )
}

resource "aws_secretsmanager_secret" "this" {
  for_each                = setsubtract(module.settings.secrets, var.existing_secrets)
  name                    = each.value
  description             = "Read by ${var.name} at run time as secret:${each.value}"
  recovery_window_in_days = 7
}

data "aws_secretsmanager_secret" "existing" {
  for_each = setintersection(module.settings.secrets, var.existing_secrets)
  name     = each.value
}
