# One Cloud Run function behind HTTPS, with a service account of its own that may do what it needs.
# Events come in by Pub/Sub push and not by an Eventarc trigger: only a subscription of our own has a
# filter, a dead-letter topic and a retention longer than a day.

locals {
  roles = {
    read = "roles/storage.objectViewer"
    # A create-only upload over an object that is there must be answered 412. It is not documented whether
    # an account without storage.objects.delete would see 403 instead, so both may write and delete.
    add    = "roles/storage.objectUser"
    change = "roles/storage.objectUser"
  }
  dataset_roles = { read = "roles/bigquery.dataViewer", change = "roles/bigquery.dataEditor" }
  # For each store and role: the folders it holds for, six to a binding. A condition has two comparisons
  # for each, and IAM takes 12 logical operators in one (docs.cloud.google.com/iam/quotas, 2026-11).
  folders = merge([
    for name, store in var.stores : {
      for role in distinct([for access in values(store.access) : local.roles[access]]) : "${name} ${role}" => {
        bucket  = store.bucket
        role    = role
        folders = [for folder in sort(keys(store.access)) : "${store.folder}${folder == "" ? "" : "${folder}/"}" if local.roles[store.access[folder]] == role]
      }
    }
  ]...)
  grants = merge([
    for key, grant in local.folders : { for index, folders in chunklist(grant.folders, 6) : "${key} ${index}" => merge(grant, { folders = folders }) }
  ]...)
}

resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.account_id
  display_name = var.name
}

resource "google_cloudfunctions2_function" "this" {
  project  = var.project
  name     = var.name
  location = var.region
  labels   = var.labels

  build_config {
    runtime               = "python${replace(var.python, ".", "")}"
    entry_point           = var.entry_point
    environment_variables = { GOOGLE_FUNCTION_SOURCE = "${var.entry_point}.py" }
    service_account       = var.build_account
    source {
      storage_source {
        bucket = var.package.bucket
        object = var.package.object
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this.email
    timeout_seconds                  = var.timeout_seconds
    available_memory                 = "${var.memory_mb}M"
    available_cpu                    = "1"
    min_instance_count               = 0
    max_instance_count               = var.instances
    max_instance_request_concurrency = var.at_once
    environment_variables            = var.environment
    # Whether Pub/Sub and Scheduler count as internal is not documented for every case; IAM lets in callers alone.
    ingress_settings = "ALLOW_ALL"
  }

  # Code that starts before its rights are there fails its first calls.
  depends_on = [
    google_storage_bucket_iam_member.this,
    google_secret_manager_secret_iam_member.this,
    google_bigquery_dataset_iam_member.this,
    google_project_iam_member.warehouse,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = toset(var.callers)
  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = each.value
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.grants
  bucket   = each.value.bucket
  role     = each.value.role
  member   = google_service_account.this.member

  # An object's name, or the prefix of a listing, must begin with one of the folders.
  dynamic "condition" {
    for_each = contains(each.value.folders, "") ? [] : [each.value.folders]
    content {
      title = "folders"
      expression = join(" || ", flatten([
        for folder in condition.value : [
          "resource.name.startsWith(\"projects/_/buckets/${each.value.bucket}/objects/${folder}\")",
          "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${folder}\")",
        ]
      ]))
    }
  }
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each  = toset(var.secrets)
  project   = var.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

resource "google_bigquery_dataset_iam_member" "this" {
  for_each   = var.datasets
  project    = var.warehouse_project
  dataset_id = each.key
  role       = local.dataset_roles[each.value]
  member     = google_service_account.this.member
}

# Running a query and opening a read session are rights in the project, whatever the dataset.
resource "google_project_iam_member" "warehouse" {
  for_each = toset(length(var.datasets) > 0 ? ["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"] : [])
  project  = var.warehouse_project
  role     = each.value
  member   = google_service_account.this.member
}
