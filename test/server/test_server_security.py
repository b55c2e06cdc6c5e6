from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpers_server import LOCAL, client, load, write_study

from lesionclick import Ensemble
from lesionclick.server.problems import ServerError
from lesionclick.server.running import require_safe
from lesionclick.server.security import Access

KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost", "127.0.0.1:9000"])
def test_names_of_this_computer_are_let_in(tmp_path: Path, ensemble: Ensemble, host: str) -> None:
    with client(tmp_path / "data", ensemble, start=False) as api:
        for headers in ({}, {"Origin": f"http://{host}"}, {"Sec-Fetch-Site": "same-origin"}):
            answer = api.get("/api/cases", headers={"Host": host, **headers})
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},  # whose name points to 127.0.0.1
        {"Host": "attacker.example:8000", "Origin": "http://attacker.example:8000"},
        {"Host": "localhost.attacker.example"},
        {"Host": "192.168.0.7:8000"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "http://attacker.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost:8000.attacker.example"},
        {"Origin": "http://["},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_other_hosts_and_origins_are_refused(tmp_path: Path, ensemble: Ensemble, headers: dict[str, str]) -> None:
    with client(tmp_path / "data", ensemble, start=False) as api:
        for method, path in (("GET", "/api/cases"), ("POST", "/api/cases"), ("GET", "/api/health")):
            answer = api.request(method, path, headers=headers)
            assert answer.status_code == 403, answer.text
            assert answer.json()["detail"]


def test_a_link_to_the_page_is_followed(tmp_path: Path, ensemble: Ensemble) -> None:
    with client(tmp_path / "data", ensemble, start=False) as api:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert api.get("/", headers=headers).status_code == 200
        assert api.get("/docs").headers["content-security-policy"].count("script-src 'self' 'unsafe-inline'") == 1
        assert "'self' 'unsafe-inline' 'wasm" not in api.get("/").headers["content-security-policy"]


def test_names_of_a_server_for_others() -> None:
    access = Access("0.0.0.0", KEY, ("reading.hospital.example",))
    for host in ("192.168.0.7:8000", "[2001:db8::1]:8000", "localhost:8000", "reading.hospital.example"):
        assert access.is_our_host(host)
    for host in ("attacker.example", "hospital.example:8000", "1.2.3.4.example"):
        assert not access.is_our_host(host)


def test_with_a_key_nothing_is_open_but_health(tmp_path: Path, ensemble: Ensemble) -> None:
    study = write_study(tmp_path / "study")
    with client(tmp_path / "data", ensemble, study, access=Access(key=KEY), start=False) as api:
        assert api.get("/api/health").status_code == 200
        case = api.get("/api/cases", headers={"Authorization": f"Bearer {KEY}"}).json()[0]["id"]
        for headers in (
            {},
            {"Authorization": f"Bearer {KEY}x"},
            {"Authorization": KEY},
            {"Cookie": f"lesionclick={KEY}"},
        ):
            for path in (
                "/",
                "/docs",
                "/openapi.json",
                "/api/cases",
                f"/api/cases/{case}/ct.nii.gz",
                "/assets/page.js",
            ):
                answer = api.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "key" in answer.json()["detail"]
        assert api.get("/?key=wrong").status_code == 401
        assert api.get("/?key=").status_code == 401


def test_the_page_gets_a_cookie_for_the_key(tmp_path: Path, ensemble: Ensemble) -> None:
    with client(tmp_path / "data", ensemble, access=Access(key=KEY), start=False) as api:
        answer = api.get(f"/?key={KEY}&case=a", follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/?case=a"
        cookie = answer.headers["set-cookie"]
        assert KEY not in cookie
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert api.get("/api/cases").status_code == 200  # the client keeps it
        assert TestClient(api.app, base_url="http://localhost:8000").get("/api/cases").status_code == 401


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        (Access("0.0.0.0"), "--host 0.0.0.0: other computers could read and change everything, expected a key"),
        (Access("192.168.0.7"), "--host 192.168.0.7"),
        (Access("reading.hospital.example"), "--host reading"),
        (Access(key="short"), "the key is not usable, expected at least 16 ASCII characters"),
        (Access(key=""), "the key is not usable"),
        (Access("0.0.0.0", "öffne dich bitte, Sesam"), "the key is not usable"),
    ],
)
def test_a_server_that_would_be_open_does_not_start(access: Access, sentence: str) -> None:
    with pytest.raises(ServerError) as refused:
        require_safe(access)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("access", [LOCAL, Access("::1"), Access("localhost"), Access("0.0.0.0", KEY), Access(key=KEY)])
def test_a_server_for_this_computer_or_with_a_key_starts(access: Access) -> None:
    require_safe(access)
