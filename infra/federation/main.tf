# The Google half of a deployment on AWS: datasets, and the functions' way to them without a key. Lambda
# signs a request as its role; Google's security token service takes that for a short-lived token
# (docs.cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds, read 2026-11).

module "settings" {
  source    = "../modules/settings"
  name      = var.name
  pipelines = var.pipelines
  needs     = "${path.module}/../needs.yaml"
  scheme    = "s3"
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  warehouse = module.settings.warehouse
  users     = { for key, function in module.settings.deployments : key => function if function.warehouse != "" }
  roles     = { for key in keys(local.users) : key => module.settings.names[key] }
  members = {
    for key, role in local.roles : key => join("/", [
      "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global",
      "workloadIdentityPools/${google_iam_workload_identity_pool.this.workload_identity_pool_id}/subject/${role}",
    ])
  }
  other_datasets = setsubtract(setunion(local.warehouse.read, var.source_datasets), local.warehouse.datasets)
  dataset_grants = merge([
    for key, function in local.users : merge(
      { for dataset in local.warehouse.datasets : "${key} ${dataset}" => { key = key, dataset = dataset, access = function.warehouse } },
      { for dataset in local.other_datasets : "${key} ${dataset}" => { key = key, dataset = dataset, access = "read" } },
    )
  ]...)
  project_grants = merge([
    for key in keys(local.users) : {
      for role in ["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"] : "${key} ${role}" => { key = key, role = role }
    }
  ]...)
}

resource "google_project_service" "this" {
  for_each           = toset(var.enable_apis ? ["bigquery", "bigquerystorage", "iam", "iamcredentials", "sts"] : [])
  project            = var.project
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}

resource "google_iam_workload_identity_pool" "this" {
  project                   = var.project
  workload_identity_pool_id = "${var.name}-aws"
  display_name              = "${var.name} on AWS"
  depends_on                = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "this" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = "aws"

  # The role's name and not the whole ARN: a subject has 127 bytes at most, a Lambda role's session can have 168.
  attribute_mapping   = { "google.subject" = "assertion.arn.extract('assumed-role/{role}/')" }
  attribute_condition = "assertion.account == '${var.aws_account}' && google.subject in [${join(", ", [for role in values(local.roles) : "'${role}'"])}]"

  aws {
    account_id = var.aws_account
  }
}

resource "google_bigquery_dataset" "this" {
  for_each   = setsubtract(local.warehouse.datasets, var.existing_datasets)
  project    = local.warehouse.project
  dataset_id = each.value
  location   = local.warehouse.location
  labels     = merge({ application = var.name }, var.labels)
  depends_on = [google_project_service.this]
}

resource "google_bigquery_dataset_iam_member" "this" {
  for_each   = local.dataset_grants
  project    = local.warehouse.project
  dataset_id = each.value.dataset
  role       = each.value.access == "change" ? "roles/bigquery.dataEditor" : "roles/bigquery.dataViewer"
  member     = local.members[each.value.key]
  depends_on = [google_bigquery_dataset.this, google_iam_workload_identity_pool_provider.this]
}

resource "google_project_iam_member" "this" {
  for_each   = local.project_grants
  project    = local.warehouse.project
  role       = each.value.role
  member     = local.members[each.value.key]
  depends_on = [google_iam_workload_identity_pool_provider.this]
}
