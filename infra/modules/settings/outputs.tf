output "deployments" {
  description = "Every function to deploy, by name: what it is triggered by, and all it may touch."
  value       = local.deployments

  precondition {
    condition     = length(distinct([for name in keys(local.deployments) : lower(replace(name, "_", "-"))])) == length(local.deployments)
    error_message = "Names of two destinations differ in _, - or capitals alone; clouds can't tell such names apart."
  }

  precondition {
    condition = alltrue([
      for pull in local.pulls : can(local.destinations[pull.from])
    ])
    error_message = "A pull's `from` names a destination that is not in the settings. `rowferry check` says which."
  }
}

output "names" {
  description = "Full names of functions, queues and timers, by the names used here: 63 characters at most."
  value       = local.names
}

output "schedules" {
  description = "Every timer, by name: function, input, and the time in both schedulers' words."
  value       = local.schedules

  precondition {
    condition     = length(distinct([for name in keys(local.schedules) : lower(replace(name, "_", "-"))])) == length(local.schedules)
    error_message = "Names of two timers (syncs, pulls, alerts) differ in _, - or capitals alone; clouds can't tell such names apart."
  }

  precondition {
    condition     = alltrue([for cron in values(local.crons) : length(cron) == 5])
    error_message = "A `cron` has five fields: minute, hour, day of the month, month, day of the week."
  }
  precondition {
    condition = var.scheme == "gs" || alltrue([
      for name, cron in local.crons : cron[2] == "*" || local.named_weekdays[name] == "*"
    ])
    error_message = "EventBridge can't run a `cron` with both a day of the month and a day of the week: write two timers."
  }
  precondition {
    condition     = var.scheme == "s3" || alltrue([for schedule in values(local.schedules) : schedule.cloud_scheduler != ""])
    error_message = "Cloud Scheduler knows cron alone: an `every` must divide an hour (…15m, 20m, 30m) or a day (1h, 2h, 3h, 4h, 6h, 8h, 12h, 1d). Write `cron` for others."
  }
}

output "watched" {
  description = "What the names of export files begin with, within the exports bucket; none is the start of another."
  value       = [for start in local.watched : "${local.exports_folder}${start}"]
}

output "state" {
  description = "The state store: its bucket, and the folder in it (\"\" or \"folder/\")."
  value       = { bucket = local.state[0], folder = local.state_folder }

  precondition {
    condition     = local.state[0] != ""
    error_message = "`state` must be an address that begins with ${var.scheme}:// to be deployed on this cloud."
  }
}

output "exports" {
  description = "The exports store: its bucket, and the folder in it (\"\" or \"folder/\")."
  value       = { bucket = local.exports[0], folder = local.exports_folder }

  precondition {
    condition     = local.exports[0] != ""
    error_message = "`exports` must be an address that begins with ${var.scheme}:// to be deployed on this cloud."
  }
}

output "warehouse" {
  description = "BigQuery: project, location, our own dataset, all datasets that are written, those that are only read."
  value = {
    project  = try(local.warehouse.project, "")
    location = try(local.warehouse.location, "US")
    own      = local.own
    datasets = local.datasets
    read     = local.read
  }

  precondition {
    condition     = local.engine == "bigquery"
    error_message = "`warehouse.engine` must be bigquery in a cloud; duckdb is the embedded one, for `rowferry serve`."
  }
  precondition {
    condition     = try(local.warehouse.project, "") != ""
    error_message = "`warehouse.project` is missing: which Google Cloud project holds the tables?"
  }
}

output "secrets" {
  description = "Names of all secrets that some function reads."
  value       = sort(distinct(flatten([for deployment in values(local.deployments) : deployment.secrets])))
}

output "environment" {
  description = "Names of all variables (`env:NAME`) that some function reads."
  value       = sort(distinct(flatten([for deployment in values(local.deployments) : deployment.environment])))
}

output "webhooks" {
  description = "Names of the webhooks."
  value       = keys(local.webhooks)
}

output "setup" {
  description = "What to set up at the vendors so that their exports arrive, by feed."
  value = {
    for name, text in local.setup_of : name => replace(
      replace(text, "BUCKET", local.exports[0]), "PATH", "${local.exports_folder}${regex("^[^{*]*", try(local.feeds[name].path, ""))}"
    )
  }
}
