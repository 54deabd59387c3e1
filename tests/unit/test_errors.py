"""errors.py: the tree, the table from codes to classes, and what an exception carries."""

from __future__ import annotations

import pickle

import pytest

from ossmedia import errors

BUILTINS = {
    "NetworkError": ConnectionError,
    "RequestTimeout": TimeoutError,
    "AccessDenied": PermissionError,
    "CredentialsError": PermissionError,
    "MediaError": ValueError,
    "NotFound": FileNotFoundError,
    "ObjectExists": FileExistsError,
    "StreamBroken": BrokenPipeError,
}
CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "service_error"]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_everything_is_an_oserror_of_ours_and_is_drawn_in_the_docstring(cls: type) -> None:
    assert issubclass(cls, errors.OssMediaError)
    assert issubclass(cls, OSError)
    assert cls.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_each_is_the_builtin_that_a_python_user_expects(name: str, builtin: type) -> None:
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    ("status", "code", "name", "retryable"),
    [
        (403, "SecurityTokenExpired", "CredentialsExpired", True),
        (403, "InvalidSecurityToken", "CredentialsExpired", True),
        (403, "AccessKeyIdAndSecurityTokenNotMatch", "CredentialsExpired", True),
        (400, "InvalidSecurityToken.Expired", "CredentialsExpired", True),
        (403, "RequestTimeTooSkewed", "ClockSkew", True),
        (403, "AccessDenied", "AccessDenied", False),
        (403, "SignatureDoesNotMatch", "AccessDenied", False),
        (400, "SignatureDoesNotMatch", "AccessDenied", False),
        (404, "InvalidAccessKeyId.NotFound", "AccessDenied", False),
        (400, "InvalidSecurityToken.Malformed", "AccessDenied", False),
        (403, "InvalidAccessKeyId", "AccessDenied", False),
        (401, "Unauthorized", "AccessDenied", False),
        (404, "NoSuchKey", "NotFound", False),
        (404, "NoSuchBucket", "NotFound", False),
        (404, "EntityNotExist.Role", "NotFound", False),
        (409, "FileAlreadyExists", "ObjectExists", False),
        (409, "ObjectNotAppendable", "Conflict", False),
        (409, "PositionNotEqualToLength", "Conflict", False),
        (412, "PreconditionFailed", "PreconditionFailed", False),
        (203, "CallbackFailed", "CallbackFailed", False),
        (400, "RequestTimeout", "Unavailable", True),
        (400, "BadRequest", "Unavailable", True),
        (400, "InvalidDigest", "Unavailable", True),
        (400, "Throttling.User", "Unavailable", True),
        (408, "x", "Unavailable", True),
        (424, "MirrorFailed", "Unavailable", True),
        (429, "x", "Unavailable", True),
        (500, "InternalError", "Unavailable", True),
        (503, "ServiceUnavailable", "Unavailable", True),
        (503, "BadErrorResponse", "Unavailable", True),
        (400, "InvalidArgument", "ServiceError", False),
        (411, "MissingContentLength", "ServiceError", False),
        (416, "InvalidRange", "ServiceError", False),
        (418, "NeverHeardOf", "ServiceError", False),
    ],
)
def test_the_table(status: int, code: str, name: str, retryable: bool) -> None:
    error = errors.service_error(status, code, "words", request_id="R1", ec="0026-1")
    assert type(error).__name__ == name
    assert error.retryable is retryable
    assert (error.status, error.code, error.request_id, error.ec) == (status, code, "R1", "0026-1")


def test_an_unknown_key_means_an_expired_one_only_with_a_token() -> None:
    with_token = errors.service_error(403, "InvalidAccessKeyId", "", temporary=True)
    assert type(with_token) is errors.CredentialsExpired
    assert type(errors.service_error(403, "InvalidAccessKeyId", "")) is errors.AccessDenied


def test_the_text_names_what_support_asks_for() -> None:
    error = errors.service_error(404, "NoSuchKey", "no such key", request_id="5C3D", ec="0026-1")
    assert str(error) == "NoSuchKey (HTTP 404): no such key [request id 5C3D] [EC 0026-1]"


def test_fields_of_one_error_do_not_change_the_class() -> None:
    error = errors.NetworkError("gone", retryable=False, maybe_done=True, retry_after_s=2.5)
    assert (error.retryable, error.maybe_done, error.retry_after_s) == (False, True, 2.5)
    assert errors.NetworkError("x").retryable is True
    assert errors.NetworkError("x").maybe_done is False


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_an_error_survives_pickling_with_its_fields(cls: type[errors.OssMediaError]) -> None:
    if issubclass(cls, errors.ServiceError):
        error = cls("words", status=403, code="Code", request_id="R", ec="E", maybe_done=True)
    else:
        error = cls("words", maybe_done=True, retry_after_s=3.0)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__
