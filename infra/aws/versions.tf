terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region                      = var.region
  access_key                  = local.emulated ? "test" : null
  secret_key                  = local.emulated ? "test" : null
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated
  skip_requesting_account_id  = local.emulated
  skip_region_validation      = local.emulated
  s3_use_path_style           = local.emulated

  default_tags {
    tags = merge({ application = var.name }, var.tags)
  }

  dynamic "endpoints" {
    for_each = local.emulated ? [var.endpoint] : []
    content {
      apigatewayv2   = endpoints.value
      cloudwatch     = endpoints.value
      iam            = endpoints.value
      lambda         = endpoints.value
      logs           = endpoints.value
      s3             = endpoints.value
      scheduler      = endpoints.value
      secretsmanager = endpoints.value
      sqs            = endpoints.value
      sts            = endpoints.value
    }
  }
}

locals {
  emulated = var.endpoint != null
}
