"""What is recorded beside alerts: comments, installations, Seer's work on issues, mobile builds."""

from __future__ import annotations

from typing import Any, Final

from signalcraft.domain.event import Event
from signalcraft.domain.reading import first_text, items, obj, text, time_ms
from signalcraft.sources.sentry.told import Told, kept, statement_key


def comment(told: Told) -> Event:
    """`comment.*`: somebody wrote, changed or deleted a comment on an issue."""
    get = told.data.get
    id_, issue = text(get("comment_id")), first_text(get("issue_id"), get("group_id"))
    project = first_text(get("project_slug"), get("project"))
    return Event(
        kind="comment",
        message=text(get("comment")) or "",
        project=project,
        source_event_id=id_,
        dedup_key=issue,
        delivery_key=statement_key(f"{told.name}:{id_}", issue, get("timestamp"), get("comment")),
        occurred_ms=time_ms(get("timestamp")),
        action=told.name,
        actor=told.actor,
        any_project=project is None,
    )


def installation(told: Told) -> Event:
    """`installation.*`, of public integrations alone. Its one-time grant `code` is left where it is."""
    found = obj(told.data.get("installation"))
    id_ = first_text(found.get("uuid"), obj(told.body.get("installation")).get("uuid"))
    status = text(found.get("status"))
    return Event(
        kind="lifecycle",
        source_event_id=id_,
        delivery_key=statement_key(told.name, id_, status),
        tags=kept(
            installation_status=status,
            app=obj(found.get("app")).get("slug"),
            organization=obj(found.get("organization")).get("slug"),
        ),
        action=told.name,
        actor=told.actor,
    )


def seer(told: Told) -> Event:
    """`seer.*`: root cause, solution, code or pull request for an issue, which is all it names."""
    get = told.data.get
    run, issue = text(get("run_id")), first_text(get("group_id"), get("issue_id"))
    finding = _finding(told.data)
    changes = items(get("changes"))
    pulls = [obj(member) for member in items(get("pull_requests"))]
    links = [link for pull in pulls if (link := _pull_link(pull))]
    return Event(
        kind="activity",
        title=_summary(finding) or (_summary(changes[0]) if changes else None),
        message=_steps(finding) or "\n".join(links) or told.action.replace("_", " "),
        source_event_id=run,
        dedup_key=issue,
        delivery_key=statement_key(f"{told.name}:{run}", told.data),
        link=links[0] if links else None,
        tags=kept(repository=_repository(finding, pulls)),
        action=told.name,
        actor=told.actor,
        any_project=True,
    )


def preprod_artifact(told: Told) -> Event:
    """`preprod_artifact.*`: a mobile build was analysed or handed out; `state` says how it went."""
    get = told.data.get
    app = obj(get("appInfo"))
    state = text(get("state"))
    build = text(get("buildId"))
    name = first_text(app.get("name"), app.get("appId")) or "Build"
    what = f"{name} {text(app.get('version')) or ''}".strip()
    how = f"{told.action.removesuffix('_completed').replace('_', ' ')}: {(state or 'completed').lower()}"
    why = first_text(get("errorMessage"), get("errorCode"))
    project = first_text(get("projectSlug"), get("projectId"))
    return Event(
        kind="activity",
        message=f"{what}, {how}" + (f" ({why})" if why else ""),
        project=project,
        source_event_id=build,
        delivery_key=statement_key(f"{told.name}:{build}", told.data),
        tags=kept(
            state=state,
            platform=get("platform"),
            app=app.get("appId"),
            version=app.get("version"),
            git_ref=obj(get("gitInfo")).get("headRef"),
        ),
        action=told.name,
        actor=told.actor,
        any_project=project is None,
    )


_FINDINGS: Final = ("root_cause", "solution", "impact_assessment", "triage", "iteration")
_SUMMARIES: Final = ("one_line_description", "one_line_summary", "summary", "description", "title")


def _finding(data: dict[str, Any]) -> object:
    return next((data[name] for name in _FINDINGS if data.get(name)), None)


def _summary(finding: object) -> str | None:
    # An object since 2025; a list of causes and bare text have been seen before.
    if type(finding) is list:
        finding = finding[0] if finding else None
    return text(finding) or first_text(*(obj(finding).get(name) for name in _SUMMARIES))


def _steps(finding: object) -> str:
    holder = obj(finding)
    steps = items(holder.get("five_whys")) or items(holder.get("steps"))
    said = (text(step) or first_text(obj(step).get("title"), obj(step).get("description")) for step in steps)
    return "\n".join(step for step in said if step)


def _pull_link(pull: dict[str, Any]) -> str | None:
    return first_text(obj(pull.get("pull_request")).get("pr_url"), pull.get("url"), pull.get("pr_url"))


def _repository(finding: object, pulls: list[dict[str, Any]]) -> object:
    return obj(finding).get("relevant_repo") or next((pull.get("repo_name") for pull in pulls), None)
