# BigQuery's own transfers, for feeds that shall do without code: files under a wildcard are appended to a table.
# docs.cloud.google.com/bigquery/docs/cloud-storage-transfer (2026-11): every 15 minutes at most, one bad file fails the run.

resource "google_bigquery_data_transfer_config" "this" {
  for_each               = var.transfers
  project                = var.warehouse.project
  location               = var.warehouse.location
  display_name           = "${var.name} ${each.key}"
  data_source_id         = "google_cloud_storage"
  schedule               = each.value.schedule
  destination_dataset_id = split(".", each.value.table)[0]
  service_account_name   = google_service_account.this.email
  params = {
    data_path_template              = "gs://${var.exports.bucket}/${var.exports.folder}${each.value.path}"
    destination_table_name_template = split(".", each.value.table)[1]
    file_format                     = each.value.format
    skip_leading_rows               = tostring(each.value.skip)
    write_disposition               = "APPEND"
    max_bad_records                 = "0"
  }
  depends_on = [google_bigquery_dataset_iam_member.this, google_project_iam_member.this, google_storage_bucket_iam_member.this]
}

resource "google_service_account" "this" {
  project      = var.project
  account_id   = "${var.name}-transfer"
  display_name = "${var.name} transfers"
}

resource "google_storage_bucket_iam_member" "this" {
  bucket = var.exports.bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.this.member
}

resource "google_bigquery_dataset_iam_member" "this" {
  for_each   = toset([for transfer in values(var.transfers) : split(".", transfer.table)[0]])
  project    = var.warehouse.project
  dataset_id = each.value
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.this.member
}

resource "google_project_iam_member" "this" {
  project = var.warehouse.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.this.member
}
