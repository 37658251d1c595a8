# What people are told of: events that were given up, errors in the functions' logs, timers that failed.

resource "google_monitoring_alert_policy" "dead" {
  project               = var.project
  display_name          = "${var.name}: events were given up"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "a dead-letter subscription is not empty"
    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "resource.labels.subscription_id = monitoring.regex.full_match(\"${var.name}-.*-dead\")",
        "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content   = "Mend the cause (the function's log says what failed), then send the events back: make redrive CLOUD=gcp QUEUE=<the subscription without -dead>"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "errors" {
  project               = var.project
  display_name          = "${var.name}: functions log errors"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "log entries of severity ERROR"
    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_run_revision\"",
        "resource.labels.service_name = monitoring.regex.full_match(\"${var.name}-.*\")",
        "metric.type = \"logging.googleapis.com/log_entry_count\"",
        "metric.labels.severity = \"ERROR\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }
}

# A timer that may not call its function leaves no error in the function's own log.
resource "google_monitoring_alert_policy" "timers" {
  project               = var.project
  display_name          = "${var.name}: timers fail"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Cloud Scheduler logs an error"
    condition_matched_log {
      filter = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=~\"^${var.name}-\" AND severity>=ERROR"
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content   = "The next tick tries again; look at the job's log, at what the function's log says, and at who may call it."
    mime_type = "text/markdown"
  }
}
