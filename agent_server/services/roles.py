"""Roles that may call each method. An error for a caller without permission names the first role of the method."""

from runtime.access.caller import ADMIN, AUDITOR, REVIEWER, SHOP, WITHOUT_ROLE

_EVERYBODY = (SHOP, REVIEWER, AUDITOR, ADMIN, WITHOUT_ROLE)
_SHOPS = (SHOP, ADMIN, WITHOUT_ROLE)
_READERS = (REVIEWER, AUDITOR, ADMIN, WITHOUT_ROLE)
_REVIEWERS = (REVIEWER, ADMIN)
_AUDITORS = (AUDITOR, ADMIN)
_ADMINS = (ADMIN,)

ROLES = {
    f"/vouch.v1.{method}": allowed
    for method, allowed in {
        "AgentService/Review": _SHOPS,
        "AgentService/GetDecision": _EVERYBODY,
        "AgentService/ListDecisions": (AUDITOR, REVIEWER, ADMIN),
        "AgentService/GetLinks": (REVIEWER, AUDITOR, ADMIN),
        "AgentService/VerifyDecision": (REVIEWER, AUDITOR, ADMIN),
        "AgentService/GetAgentInfo": _EVERYBODY,
        "CaseService/ListCases": _READERS,
        "CaseService/GetCase": _READERS,
        "CaseService/ClaimCase": _REVIEWERS,
        "CaseService/ClaimNext": _REVIEWERS,
        "CaseService/RenewClaim": _REVIEWERS,
        "CaseService/ReleaseCase": _REVIEWERS,
        "CaseService/ResolveCase": _REVIEWERS,
        "CaseService/CommentCase": _REVIEWERS,
        "CaseService/WatchCases": _READERS,
        "CaseService/ListReviewers": _AUDITORS,
        "CaseService/ExportLabels": _AUDITORS,
        "OutcomeService/ReportOutcome": _SHOPS,
        "OutcomeService/ListOutcomes": (SHOP, REVIEWER, AUDITOR, ADMIN),
        "PrivacyService/FindPerson": _ADMINS,
        "PrivacyService/ExportPerson": _ADMINS,
        "PrivacyService/ErasePerson": _ADMINS,
        "PrivacyService/ExpireOrders": _ADMINS,
        "PrivacyService/GetErasureProgress": _ADMINS,
    }.items()
}
