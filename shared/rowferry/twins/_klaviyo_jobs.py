"""The import jobs of Klaviyo's stand-in: queued, processing, complete; errors only when complete; gone after a week."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rowferry.clock import Clock
from rowferry.twins._klaviyo_people import Conflict, People

_KEPT_SECONDS = 7 * 86_400.0

LateFault = Callable[[dict[str, Any]], str | None]


@dataclass
class Job:
    """One job. `profiles` are there until they are done, `errors` from then on."""

    name: str
    profiles: Sequence[dict[str, Any]]
    lists: Sequence[set[str]]
    started_at: float
    total: int
    status: str = "queued"
    errors: list[dict[str, Any]] = field(default_factory=list)


class Jobs:
    """All jobs of an account, by name. A job is done as a whole, `job_seconds` after it was started."""

    def __init__(self, clock: Clock, people: People) -> None:
        self._clock, self._people = clock, people
        self.jobs: dict[str, Job] = {}

    def start(self, profiles: Sequence[dict[str, Any]], lists: Sequence[set[str]]) -> Job:
        """A new job, queued."""
        name = f"01JOB{len(self.jobs):021d}"
        return self.jobs.setdefault(name, Job(name, profiles, lists, self._clock.monotonic(), len(profiles)))

    def find(self, name: str) -> Job | None:
        """The job, while it is kept."""
        job = self.jobs.get(name)
        return job if job is not None and self._clock.monotonic() <= job.started_at + _KEPT_SECONDS else None

    def advance(self, job_seconds: float, late_fault: LateFault, *, echoes: bool) -> None:
        """Bring every job to where it is by now. Errors hold the profile when the twin `echoes`."""
        for job in self.jobs.values():
            if job.status in ("queued", "processing"):
                passed = self._clock.monotonic() - job.started_at
                job.status = "complete" if passed >= job_seconds else "processing" if passed >= job_seconds / 2 else "queued"
                if job.status == "complete":
                    self._process(job, late_fault, echoes)

    def shown(self, job: Job) -> dict[str, Any]:
        """The job as a resource of JSON:API."""
        attributes = {
            "status": job.status,
            "created_at": self._clock.now().isoformat(),
            "total_count": job.total,
            "completed_count": job.total - len(job.errors) if job.status == "complete" else 0,
            "failed_count": len(job.errors),
        }
        return {"type": "profile-bulk-import-job", "id": job.name, "attributes": attributes, "links": {}}

    def _process(self, job: Job, late_fault: LateFault, echoes: bool) -> None:
        for profile in job.profiles:
            fault, profile_id = late_fault(profile), ""
            if fault is None:
                try:
                    profile_id, _ = self._people.upsert(profile, clears=False)
                except Conflict as conflict:
                    fault = str(conflict)
            if fault is None:
                for members in job.lists:
                    members.add(profile_id)
            else:
                job.errors.append(_entry(f"{job.name}-{len(job.errors)}", fault, profile if echoes else None))
        job.profiles = ()


def _entry(name: str, fault: str, profile: Mapping[str, Any] | None) -> dict[str, Any]:
    payload = None if profile is None else {"id": profile.get("id"), **profile["attributes"]}
    attributes = {
        "code": "invalid",
        "title": "Invalid input.",
        "detail": fault,
        "source": {"pointer": "/data"},
        "original_payload": payload,
    }
    return {"type": "import-error", "id": name, "attributes": attributes}
