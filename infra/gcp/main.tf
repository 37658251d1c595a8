# Rowferry on Google Cloud. What is deployed follows from the settings (infra/pipelines) and from what
# each function needs (infra/needs.yaml); modules/settings reads both.

module "settings" {
  source    = "../modules/settings"
  name      = var.name
  pipelines = var.pipelines
  needs     = "${path.module}/../needs.yaml"
  scheme    = "gs"
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  state     = module.settings.state
  exports   = module.settings.exports
  functions = module.settings.deployments
  names     = module.settings.names
  warehouse = module.settings.warehouse
  labels    = merge({ application = var.name }, var.labels)

  # Service accounts take 30 characters.
  account_ids = {
    for key, name in local.names : key => length(name) <= 30 ? name : "${trimsuffix(substr(name, 0, 23), "-")}-${substr(sha1(name), 0, 6)}"
  }

  apis = [
    "artifactregistry", "bigquery", "bigquerystorage", "cloudbuild", "cloudfunctions", "cloudscheduler", "iam", "iamcredentials", "logging",
    "monitoring", "pubsub", "run", "secretmanager", "storage",
  ]
}

resource "google_project_service" "this" {
  for_each           = toset(var.enable_apis ? concat(local.apis, length(var.transfers) > 0 ? ["bigquerydatatransfer"] : []) : [])
  project            = var.project
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}

# ── Buckets ─────────────────────────────────────────────────────────────────────────────────

locals {
  location   = coalesce(var.bucket_location, local.warehouse.location)
  buckets    = distinct([local.state.bucket, local.exports.bucket])
  made       = setsubtract(local.buckets, var.existing_buckets)
  bucket_ids = { for bucket in local.buckets : bucket => contains(local.made, bucket) ? google_storage_bucket.this[bucket].name : bucket }
  expiry = {
    outbox     = var.keep_days
    exported   = var.keep_days
    receipts   = var.keep_days
    claims     = var.keep_days
    journal    = var.keep_days
    webhooks   = var.keep_days
    quarantine = var.quarantine_days
  }
}

resource "google_storage_bucket" "this" {
  for_each                    = local.made
  project                     = var.project
  name                        = each.value
  location                    = local.location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  # Claims and journals are written over and deleted all day; keeping each for a week would be paid for.
  dynamic "soft_delete_policy" {
    for_each = each.key == local.state.bucket ? [0] : []
    content {
      retention_duration_seconds = soft_delete_policy.value
    }
  }

  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.key == local.state.bucket ? local.expiry : {}
    content {
      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["${local.state.folder}${lifecycle_rule.key}/"]
      }
      action {
        type = "Delete"
      }
    }
  }

  depends_on = [google_project_service.this]
}

# ── Packages ────────────────────────────────────────────────────────────────────────────────

locals {
  build = jsondecode(file("${var.build}/build.json")) # written by `make package`
}

resource "google_storage_bucket" "packages" {
  project                     = var.project
  name                        = "${var.project}-${var.name}-packages"
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # nothing in it that `make package` could not make again
  depends_on                  = [google_project_service.this]
}

resource "google_storage_bucket_object" "package" {
  for_each = toset([for function in values(local.functions) : function.package])
  bucket   = google_storage_bucket.packages.name
  name     = "${each.key}-${substr(filesha256("${var.build}/${each.key}.zip"), 0, 16)}.zip"
  source   = "${var.build}/${each.key}.zip"
}

# Newer projects' default build account may do nothing; this one may build and nothing else.
resource "google_service_account" "build" {
  project      = var.project
  account_id   = "${var.name}-build"
  display_name = "${var.name} builds"
  depends_on   = [google_project_service.this]
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/artifactregistry.writer", "roles/logging.logWriter", "roles/storage.objectViewer"])
  project  = var.project
  role     = each.value
  member   = google_service_account.build.member
}

# ── Functions ───────────────────────────────────────────────────────────────────────────────

locals {
  common_environment = {
    ROWFERRY_CONFIG      = "pipelines"
    GOOGLE_CLOUD_PROJECT = var.project
  }
  queued = { for key, function in local.functions : key => function if contains(["exports", "destination", "receipts"], function.trigger) }
  # Written out, because it names bindings: the account's own attribute is not known before it is made.
  caller = "${var.name}-caller@${var.project}.iam.gserviceaccount.com"
  callers = {
    for key, function in local.functions : key => (
      function.trigger != "https" ? ["serviceAccount:${local.caller}"] :
      !function.public ? var.status_page_readers :
      var.public_webhooks ? ["allUsers"] : var.webhook_callers
    )
  }
  other_datasets = setsubtract(setunion(local.warehouse.read, var.source_datasets), local.warehouse.datasets)
  dataset_access = {
    ""     = {}
    read   = merge({ for dataset in local.warehouse.datasets : dataset => "read" }, { for dataset in local.other_datasets : dataset => "read" })
    change = merge({ for dataset in local.warehouse.datasets : dataset => "change" }, { for dataset in local.other_datasets : dataset => "read" })
  }
}

module "function" {
  source          = "../modules/gcp_function"
  for_each        = local.functions
  project         = var.project
  region          = var.region
  name            = local.names[each.key]
  account_id      = local.account_ids[each.key]
  entry_point     = each.value.function
  python          = local.build.python
  build_account   = google_service_account.build.id
  timeout_seconds = each.value.timeout_seconds
  memory_mb       = each.value.memory_mb
  instances       = each.value.instances
  at_once         = each.value.at_once
  callers         = local.callers[each.key]
  labels          = merge(local.labels, { function = replace(each.value.function, "_", "-") })
  package = {
    bucket = google_storage_bucket.packages.name
    object = google_storage_bucket_object.package[each.value.package].name
  }
  environment = merge(
    local.common_environment,
    # Cloud Run does not tell a function how long it may still run.
    { ROWFERRY_TIMEOUT_SECONDS = tostring(each.value.timeout_seconds) },
    # What functions-framework works on at once; by itself 4, and the others would wait inside the instance.
    each.value.at_once > 1 ? { THREADS = tostring(each.value.at_once) } : {},
    { for name in each.value.environment : name => var.environment[name] },
  )
  stores = merge(
    { state = { bucket = local.bucket_ids[local.state.bucket], folder = local.state.folder, access = each.value.state } },
    each.value.exports == "" ? {} : {
      exports = { bucket = local.bucket_ids[local.exports.bucket], folder = local.exports.folder, access = { "" = each.value.exports } }
    },
  )
  secrets           = distinct([for name in each.value.secrets : local.secret_ids[name]])
  datasets          = local.dataset_access[each.value.warehouse]
  warehouse_project = local.warehouse.project

  depends_on = [
    google_bigquery_dataset.this, google_project_iam_member.build, google_secret_manager_secret.this, google_service_account.caller,
  ]
}

# ── Events ──────────────────────────────────────────────────────────────────────────────────

locals {
  # A bucket tells of at most ten prefixes an event type; beyond that it tells of everything, and files
  # outside every feed cost a call that does nothing.
  starts = length(module.settings.watched) <= 8 ? module.settings.watched : [local.exports.folder]
  topics = {
    for topic, place in {
      exports     = { bucket = local.exports.bucket, prefixes = local.starts }
      receipts    = { bucket = local.state.bucket, prefixes = ["${local.state.folder}receipts/"] }
      destination = { bucket = local.state.bucket, prefixes = ["${local.state.folder}outbox/"] }
    } : topic => place if contains([for function in values(local.queued) : function.trigger], topic)
  }
  notifications = merge([
    for topic, place in local.topics : { for prefix in place.prefixes : "${topic} ${prefix}" => { topic = topic, bucket = place.bucket, prefix = prefix } }
  ]...)
}

resource "google_pubsub_topic" "this" {
  for_each   = local.topics
  project    = var.project
  name       = "${var.name}-${each.key}"
  labels     = local.labels
  depends_on = [google_project_service.this]
}

# Reading it makes Cloud Storage's own account, where the project has none yet.
data "google_storage_project_service_account" "this" {
  project    = var.project
  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "storage" {
  for_each = google_pubsub_topic.this
  project  = var.project
  topic    = each.value.id
  role     = "roles/pubsub.publisher"
  member   = "serviceAccount:${data.google_storage_project_service_account.this.email_address}"
}

resource "google_storage_notification" "this" {
  for_each           = local.notifications
  bucket             = local.bucket_ids[each.value.bucket]
  topic              = google_pubsub_topic.this[each.value.topic].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = each.value.prefix == "" ? null : each.value.prefix
  depends_on         = [google_pubsub_topic_iam_member.storage]
}

# Whom Pub/Sub and Cloud Scheduler call the functions as.
resource "google_service_account" "caller" {
  project      = var.project
  account_id   = "${var.name}-caller"
  display_name = "${var.name} events and timers"
  depends_on   = [google_project_service.this]
}

module "queue" {
  source       = "../modules/gcp_queue"
  for_each     = local.queued
  project      = var.project
  name         = local.names[each.key]
  topic        = google_pubsub_topic.this[each.value.trigger].id
  prefix       = each.value.trigger == "destination" ? "${local.state.folder}outbox/${each.value.destination}/" : ""
  url          = module.function[each.key].url
  caller       = google_service_account.caller.email
  tries        = each.value.tries
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  labels       = local.labels
}

# ── Timers ──────────────────────────────────────────────────────────────────────────────────

resource "google_cloud_scheduler_job" "this" {
  for_each         = module.settings.schedules
  project          = var.project
  region           = var.region
  name             = local.names[each.key]
  schedule         = each.value.cloud_scheduler
  time_zone        = each.value.timezone
  attempt_deadline = "${local.functions[each.value.function].timeout_seconds + 30}s"

  http_target {
    uri         = module.function[each.value.function].url
    http_method = "POST"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(each.value.input)
    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = module.function[each.value.function].url
    }
  }

  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
  }
}

# ── Warehouse ───────────────────────────────────────────────────────────────────────────────
# Datasets alone: tables are made by the functions, which know their columns.

resource "google_bigquery_dataset" "this" {
  for_each   = setsubtract(local.warehouse.datasets, var.existing_datasets)
  project    = local.warehouse.project
  dataset_id = each.value
  location   = local.warehouse.location
  labels     = local.labels
  depends_on = [google_project_service.this]
}

module "transfers" {
  source     = "../modules/gcp_transfers"
  count      = length(var.transfers) > 0 ? 1 : 0
  project    = var.project
  name       = var.name
  transfers  = var.transfers
  exports    = { bucket = local.bucket_ids[local.exports.bucket], folder = local.exports.folder }
  warehouse  = local.warehouse
  depends_on = [google_bigquery_dataset.this]
}

# ── Secrets: the containers alone; values are put in by a person, outside Terraform ─────────

locals {
  # `secret:NAME/versions/3` pins a version of NAME; `secret:projects/P/secrets/NAME` is another project's.
  secret_ids   = { for name in module.settings.secrets : name => split("/versions/", name)[0] }
  made_secrets = setsubtract([for id in values(local.secret_ids) : id if !startswith(id, "projects/")], var.existing_secrets)
}

resource "google_secret_manager_secret" "this" {
  for_each  = local.made_secrets
  project   = var.project
  secret_id = each.value
  labels    = local.labels

  replication {
    auto {}
  }

  lifecycle {
    precondition {
      condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", each.value))
      error_message = "Secret Manager's names have letters, digits, _ and - alone; rename the secret ${each.value} in the settings."
    }
  }

  depends_on = [google_project_service.this]
}

# ── Alarms ──────────────────────────────────────────────────────────────────────────────────

module "alarms" {
  source                = "../modules/gcp_alarms"
  project               = var.project
  name                  = var.name
  notification_channels = var.notification_channels
  labels                = local.labels
  depends_on            = [google_project_service.this]
}
