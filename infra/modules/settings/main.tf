# Reads the settings as the functions do and works out what has to stand around them.
# No provider, no resource: both clouds share this, and a plan shows all of it.

locals {
  needs     = yamldecode(file(var.needs))
  documents = [for name in sort(fileset(var.pipelines, "*.yaml")) : yamldecode(file("${var.pipelines}/${name}"))]

  # An empty section (`feeds:` alone) is null in YAML; the inner `for` turns it into an error, `try` into {}.
  feeds        = merge([for d in local.documents : try({ for name, value in d.feeds : name => value }, {})]...)
  destinations = merge([for d in local.documents : try({ for name, value in d.destinations : name => value }, {})]...)
  syncs        = merge([for d in local.documents : try({ for name, value in d.syncs : name => value }, {})]...)
  pulls        = merge([for d in local.documents : try({ for name, value in d.pulls : name => value }, {})]...)
  databases    = merge([for d in local.documents : try({ for name, value in d.databases : name => value }, {})]...)
  webhooks     = merge([for d in local.documents : try({ for name, value in d.webhooks : name => value }, {})]...)
  alerts       = merge([for d in local.documents : try({ for name, value in d.alerts : name => value }, {})]...)
  warehouse    = merge([for d in local.documents : try({ for name, value in d.warehouse : name => value }, {})]...)
  sizes = {
    feeds        = length(local.feeds)
    destinations = length(local.destinations)
    syncs        = length(local.syncs)
    pulls        = length(local.pulls)
    webhooks     = length(local.webhooks)
    alerts       = length(local.alerts)
  }

  state_url   = try([for d in local.documents : d.state if can(d.state)][0], "")
  exports_url = try([for d in local.documents : d.exports if can(d.exports)][0], "")
  address     = "^${var.scheme}://([^/]+)/?(.*)$"
  state       = try(regex(local.address, local.state_url), ["", ""])
  exports     = try(regex(local.address, local.exports_url), ["", ""])
  # "" or "folder/": what the keys of a store begin with inside its bucket.
  state_folder   = local.state[1] == "" ? "" : "${trimsuffix(local.state[1], "/")}/"
  exports_folder = local.exports[1] == "" ? "" : "${trimsuffix(local.exports[1], "/")}/"
}

# ── Which functions, how often ──────────────────────────────────────────────────────────────

locals {
  # A function is deployed where the settings give it something to do.
  wanted = {
    for name, need in local.needs : name => need
    if !can(need.when) || anytrue([for section in try(need.when, []) : local.sizes[section] > 0])
  }
  single = { for name, need in local.wanted : name => { function = name, destination = "" } if need.trigger != "destination" }
  multiple = merge([
    for name, need in local.wanted : {
      for destination in keys(local.destinations) : "${name}_${destination}" => { function = name, destination = destination }
    } if need.trigger == "destination"
  ]...)

  references = {
    databases = jsonencode(local.databases)
    # Rows of a queue are marked in their database once they have an outcome.
    queues   = jsonencode([for sync in local.syncs : local.databases[sync.model.database] if try(sync.send, "") == "queue" && can(local.databases[sync.model.database])])
    webhooks = jsonencode(local.webhooks)
    pulls    = jsonencode([for pull in local.pulls : local.destinations[pull.from] if can(local.destinations[pull.from])])
  }
  texts = {
    for name, deployment in merge(local.single, local.multiple) : name => join("\n", [
      for section in try(local.needs[deployment.function].secrets, []) :
      section == "destination" ? jsonencode(local.destinations[deployment.destination]) : local.references[section]
    ])
  }

  deployments = {
    for name, deployment in merge(local.single, local.multiple) : name => {
      function        = deployment.function
      destination     = deployment.destination
      trigger         = local.needs[deployment.function].trigger
      public          = try(local.needs[deployment.function].public, false)
      package         = local.needs[deployment.function].package
      timeout_seconds = local.needs[deployment.function].timeout_seconds
      memory_mb       = local.needs[deployment.function].memory_mb
      disk_mb         = try(local.needs[deployment.function].disk_mb, 512)
      at_once         = try(local.needs[deployment.function].at_once, 1)
      batch           = try(local.needs[deployment.function].batch, 1)
      tries           = try(local.needs[deployment.function].tries, 5)
      pauses          = try(local.needs[deployment.function].pauses, false)
      instances = tonumber(try(
        local.destinations[deployment.destination].instances,
        local.needs[deployment.function].instances,
        1
      ))
      state       = { for folder, access in try(local.needs[deployment.function].state, {}) : folder => access }
      exports     = try(local.needs[deployment.function].exports, "")
      warehouse   = try(local.needs[deployment.function].warehouse, "")
      secrets     = sort(distinct(flatten(regexall("\"secret:([A-Za-z0-9][A-Za-z0-9_./-]*)\"", local.texts[name]))))
      environment = sort(distinct(flatten(regexall("\"env:([A-Za-z0-9][A-Za-z0-9_./-]*)\"", local.texts[name]))))
    }
  }

  timed = {
    syncs  = { for name, sync in local.syncs : name => sync if can(sync.every) || can(sync.cron) }
    pulls  = { for name, pull in local.pulls : name => pull if can(pull.every) || can(pull.cron) }
    alerts = { for name, alert in local.alerts : name => alert if can(alert.every) || can(alert.cron) }
  }
  one = { syncs = "sync", pulls = "pull", alerts = "alert" }
  own_timers = {
    for name, need in local.wanted : name => { function = name, input = {}, every = need.every, cron = "", timezone = "UTC" } if can(need.every)
  }
  section_timers = merge(flatten([
    for name, need in local.wanted : [
      for section in try(need.timers, []) : {
        for entry, value in local.timed[section] : "${local.one[section]}_${entry}" => {
          function = name
          input    = { (local.one[section]) = entry }
          every    = try(value.every, "")
          cron     = try(value.cron, "")
          timezone = try(value.timezone, "UTC")
        }
      }
    ]
  ])...)
}

# ── Times, in both schedulers' words ────────────────────────────────────────────────────────

locals {
  timers  = merge(local.own_timers, local.section_timers)
  units   = { s = 1, m = 60, h = 3600, d = 86400 }
  periods = { for name, timer in local.timers : name => try(regex("^\\s*([0-9.]+)\\s*([smhd])\\s*$", timer.every), ["0", "m"]) }
  # No scheduler of either cloud is finer than a minute.
  minutes = { for name, period in local.periods : name => max(1, ceil(tonumber(period[0]) * local.units[period[1]] / 60)) }
  crons   = { for name, timer in local.timers : name => [for part in split(" ", timer.cron) : part if part != ""] if timer.cron != "" }

  days = { "0" = "SUN", "1" = "MON", "2" = "TUE", "3" = "WED", "4" = "THU", "5" = "FRI", "6" = "SAT", "7" = "SUN" }
  # EventBridge counts the days of the week from 1 where cron counts from 0: names mean the same to both.
  named_weekdays = {
    for name, cron in local.crons : name => join(",", [
      for part in split(",", try(cron[4], "*")) : join("/", [
        for index, piece in split("/", part) : index > 0 ? piece : join("-", [for day in split("-", piece) : lookup(local.days, day, day)])
      ])
    ])
  }
  # EventBridge writes steps from a start (`0/15`), and wants `?` for the day field that is not used.
  eventbridge_crons = {
    for name, cron in local.crons : name => join(" ", [
      replace(try(cron[0], ""), "*/", "0/"),
      replace(try(cron[1], ""), "*/", "0/"),
      local.named_weekdays[name] == "*" ? replace(try(cron[2], ""), "*/", "1/") : "?",
      replace(try(cron[3], ""), "*/", "1/"),
      local.named_weekdays[name] == "*" ? "?" : replace(local.named_weekdays[name], "*/", "1/"),
      "*",
    ])
  }

  schedules = {
    for name, timer in local.timers : name => {
      function = timer.function
      input    = jsonencode(timer.input)
      timezone = timer.timezone
      eventbridge = (
        timer.cron != "" ? "cron(${local.eventbridge_crons[name]})" :
        local.minutes[name] == 1 ? "rate(1 minute)" : "rate(${local.minutes[name]} minutes)"
      )
      # "" where cron can't say it, as every 45 minutes; an output's precondition says so.
      cloud_scheduler = (
        timer.cron != "" ? timer.cron :
        local.minutes[name] == 1 ? "* * * * *" :
        local.minutes[name] < 60 && 60 % local.minutes[name] == 0 ? "*/${local.minutes[name]} * * * *" :
        local.minutes[name] == 60 ? "0 * * * *" :
        local.minutes[name] == 1440 ? "0 0 * * *" :
        1440 % local.minutes[name] == 0 && local.minutes[name] % 60 == 0 ? "0 */${floor(local.minutes[name] / 60)} * * *" : ""
      )
    }
  }
}

# ── What to set up at the vendors ───────────────────────────────────────────────────────────
# From their own pages as of 2026-11: docs.clevertap.com "Data Export to AWS S3" and "Google Cloud Platform (GCP)",
# braze.com/docs "Currents" for Amazon S3 and Google Cloud Storage, amplitude.com/docs/data/destination-catalog.

locals {
  setup = {
    clevertap = {
      gs = "CleverTap: Settings > Data Export > Google Cloud Platform: bucket BUCKET, and the JSON key of a service account of its own with Storage Admin on this bucket alone. No retention policy on the bucket: it stops the export."
      s3 = "CleverTap: Settings > Data Export > AWS S3: bucket BUCKET, and an IAM user or role with s3:ListBucket on the bucket and s3:PutObject on its objects; the bucket is in the region of the CleverTap account."
    }
    braze_currents = {
      gs = "Braze: Partner Integrations > Data Export > Currents > Google Cloud Storage: bucket BUCKET, prefix PATH, and the JSON key of a service account with storage.buckets.get and storage.objects.create, get, list and delete on it."
      s3 = "Braze: Partner Integrations > Data Export > Currents > Amazon S3: bucket BUCKET, folder path PATH, and a role with s3:ListBucket, s3:GetBucketLocation, s3:PutObject and s3:GetObject. No Object Lock on the bucket."
    }
    amplitude_export = {
      gs = "Amplitude: Data > Destinations > Google Cloud Storage: bucket BUCKET, prefix PATH, and a service account with storage.buckets.get and storage.objects.create, get, list and delete on it."
      s3 = "Amplitude: Data > Destinations > Amazon S3: bucket BUCKET, prefix PATH; the page gives a bucket policy to paste."
    }
  }
  setup_of = {
    for name, feed in local.feeds : name => try(local.setup[try(feed.preset, "")], local.setup[split("_", try(feed.preset, ""))[0]], {
      gs = "Put files into bucket BUCKET under PATH.", s3 = "Put files into bucket BUCKET under PATH."
    })[var.scheme]
  }
}

# ── What is watched, and what is touched ────────────────────────────────────────────────────

locals {
  paths = distinct(concat(
    [for feed in local.feeds : try(feed.path, "")],
    [for name, pull in local.pulls : "${trimsuffix(try(pull.path, name), "/")}/"],
  ))
  # A pattern is watched from its first placeholder upwards: `crm/customers-{day:%Y%m%d}*.csv.gz` under `crm/customers-`.
  starts = distinct([for path in local.paths : regex("^[^{*]*", path)])
  # S3 refuses two rules that overlap, so a start within another one is left to that one.
  watched = sort([for start in local.starts : start if !anytrue([for other in local.starts : other != start && startswith(start, other)])])

  engine = try(local.warehouse.engine, "bigquery")
  own    = try(local.warehouse.dataset, "rowferry")
  tables = concat([for feed in local.feeds : try(feed.table, "raw.x")], [for pull in local.pulls : try(pull.table, "raw.x")])
  # `{event}` may stand in a table's name, never in its dataset's.
  # (`rowferry.` is how settings name our own, whatever it is called.)
  datasets = sort(distinct(concat([local.own], [
    for table in local.tables : split(".", table)[0] == "rowferry" ? local.own : split(".", table)[0]
  ])))
  models = [for sync in local.syncs : try(sync.model.table, "") if !can(sync.model.database)]
  # A table of another project (three parts) is granted over there, by whom it belongs to.
  read = sort(setsubtract([
    for table in local.models : split(".", table)[0] if length(split(".", table)) == 2 && split(".", table)[0] != "rowferry"
  ], local.datasets))
}

# ── Names ───────────────────────────────────────────────────────────────────────────────────

locals {
  # 63 characters is the least that any of the resources takes; a longer name keeps its start and gets a mark of its own.
  long_names = { for key in setunion(keys(local.deployments), keys(local.schedules)) : key => "${var.name}-${lower(replace(key, "_", "-"))}" }
  names      = { for key, name in local.long_names : key => length(name) <= 63 ? name : "${substr(name, 0, 54)}-${substr(sha1(name), 0, 8)}" }
}
