//! Links to a report: whoever has one reads that one report in a browser, for five minutes, and
//! nothing else.

use local::Service;
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::report::part::ENTRIES_MAX;
use shared::agreement::report::verify::verify;
use tests::agreements::{agreement, open_last, person, send_with};
use tests::chains::{lengthen, resent};
use tests::{Answer, OPERATOR, World};

struct Story {
    world: World,
    sent: Answer,
}

impl Story {
    async fn new() -> Self {
        let world = World::new().await;
        let sent = send_with(&world, "k", &agreement(&json!([person(1, "none")])))
            .await
            .expect(201);
        Self { world, sent }
    }

    fn path(&self) -> String {
        format!("/v1/agreements/{}/audit", self.sent.text("id"))
    }

    async fn make(&self) -> Answer {
        self.world
            .backend(Method::POST, &format!("{}/links", self.path()), None)
            .await
    }

    /// A new link's token.
    async fn token(&self) -> String {
        self.make()
            .await
            .expect(201)
            .text("url")
            .split_once('#')
            .unwrap()
            .1
            .to_owned()
    }

    async fn read(&self, token: &str, path: &str) -> Answer {
        self.world
            .send(self.world.request(Method::GET, path).bearer_auth(token))
            .await
    }
}

#[tokio::test]
async fn a_link_leads_to_the_page_that_shows_the_report_and_its_token_opens_it_in_every_form() {
    let story = Story::new().await;
    let made = story.make().await.expect(201);
    assert_eq!(
        (&made.body["expires_in"], made.header("cache-control")),
        (&json!(300), Some("no-store"))
    );
    let url = made.text("url");
    let (page, token) = url.split_once('#').unwrap();
    assert_eq!(
        page,
        format!(
            "{}/report/{}",
            story.world.stack.base_url(),
            story.sent.text("id")
        )
    );
    let shown = story
        .world
        .request(
            Method::GET,
            page.strip_prefix(story.world.stack.base_url()).unwrap(),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            shown.status().as_u16(),
            shown.headers()["content-type"].to_str().unwrap()
        ),
        (200, "text/html; charset=utf-8")
    );
    let keys = story
        .world
        .get("/.well-known/jwks.json")
        .await
        .expect(200)
        .body
        .to_string();
    for accept in ["text/html", "text/csv", "application/json"] {
        let request = story
            .world
            .request(Method::GET, &story.path())
            .bearer_auth(token)
            .header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["cache-control"].to_str().unwrap()
            ),
            (200, "no-store"),
            "{accept}"
        );
        assert!(
            answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with(accept)
        );
        let text = answer.text().await.unwrap();
        assert!(accept != "application/json" || verify(text.as_bytes(), keys.as_bytes()).is_ok());
    }
}

#[tokio::test]
async fn the_report_tells_that_a_link_was_made_and_by_whom_and_keeps_nothing_of_it() {
    let story = Story::new().await;
    let token = story.token().await;
    let report = story.read(&token, &story.path()).await.expect(200).body;
    let entry = report["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("report-link-created"), &json!("success"))
    );
    assert!(
        entry["actor"].as_str().unwrap().starts_with("key_") && entry["source"].is_string(),
        "{entry}"
    );
    assert_eq!(
        entry["details"],
        json!({"expires_at": "2027-01-15T08:05:00Z"})
    );
    // Reading by it tells nothing, and writes nothing.
    let content = story.world.content().await;
    let _ = story.read(&token, &story.path()).await.expect(200);
    assert_eq!(story.world.content().await, content);
    for part in token.split('.').filter(|part| part.len() > 20) {
        assert!(
            !content.values().any(|item| item.to_string().contains(part)),
            "{part} is kept"
        );
    }
    let page = story
        .world
        .request(Method::GET, &story.path())
        .bearer_auth(&token)
        .header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("A link was made that opens this report in a browser for five minutes."),
        "{page}"
    );
}

#[tokio::test]
async fn it_is_good_for_five_minutes_and_not_for_one_more_second() {
    let story = Story::new().await;
    let token = story.token().await;
    story.world.advance(299);
    let _ = story.read(&token, &story.path()).await.expect(200);
    story.world.advance(1);
    let over = story
        .read(&token, &story.path())
        .await
        .refused(401, "unauthorized");
    assert_eq!(
        over.header("www-authenticate"),
        Some("Bearer error=\"invalid_token\"")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_to_be_left_of_it_is_left_when_its_making_took_long() {
    let story = Story::new().await;
    let held = story.world.stack.faults().hold(Service::Dynamodb, 0);
    let wait = async {
        held.arrived().await;
        story.world.advance(7);
        held.let_go();
    };
    let (made, ()) = tokio::join!(story.make(), wait);
    let made = made.expect(201);
    assert_eq!(made.body["expires_in"], 293);
    let token = made.text("url").split_once('#').unwrap().1.to_owned();
    story.world.advance(292);
    let _ = story.read(&token, &story.path()).await.expect(200);
    story.world.advance(1);
    let _ = story
        .read(&token, &story.path())
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn it_opens_no_other_report_and_no_other_route() {
    let story = Story::new().await;
    let token = story.token().await;
    let other = send_with(
        &story.world,
        "other",
        &agreement(&json!([person(2, "none")])),
    )
    .await
    .expect(201)
    .text("id");
    let unknown = "agr_00000000000000000000000001";
    for id in [other.as_str(), unknown] {
        let _ = story
            .read(&token, &format!("/v1/agreements/{id}/audit"))
            .await
            .refused(403, "forbidden");
    }
    let id = story.sent.text("id");
    let routes = [
        format!("/v1/agreements/{id}"),
        "/v1/agreements".into(),
        format!("/v1/audit?subject={}", story.world.account),
        "/v1/quota".into(),
        "/v1/users".into(),
        "/v1/settings".into(),
        "/v1/me".into(),
    ];
    for path in &routes {
        let _ = story.read(&token, path).await.refused(401, "unauthorized");
    }
    let again = story
        .world
        .request(Method::POST, &format!("{}/links", story.path()))
        .bearer_auth(&token);
    let _ = story.world.send(again).await.refused(401, "unauthorized");
    let query = format!("{}?account={}", story.path(), story.world.account);
    assert_eq!(
        story
            .read(&token, &query)
            .await
            .refused(400, "invalid-request")
            .pointers(),
        ["?account"]
    );
    // And nothing else is taken for one.
    let access = open_last(&story.world, "r1@example.com")
        .await
        .expect(200)
        .text("access_token");
    let _ = story
        .read(&access, &story.path())
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let story = Story::new().await;
    let token = story.token().await;
    let parts: Vec<&str> = token.split('.').collect();
    let longer = {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut body = URL_SAFE_NO_PAD
            .decode(parts[0].trim_start_matches("rpl_"))
            .unwrap();
        let last = body.len() - 3;
        body[last] = body[last].wrapping_add(1);
        format!(
            "rpl_{}.{}.{}",
            URL_SAFE_NO_PAD.encode(body),
            parts[1],
            parts[2]
        )
    };
    let (_, others) = story.world.open_account("business").await;
    let forged = [
        longer,
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}A"),
        "rpl_".into(),
        "rpl_a.b.c".into(),
    ];
    for forged in &forged {
        let _ = story
            .read(forged, &story.path())
            .await
            .refused(401, "unauthorized");
    }
    let _ = story
        .read(&others, &story.path())
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn it_is_made_by_whoever_may_read_the_report() {
    let story = Story::new().await;
    let world = &story.world;
    let path = format!("{}/links", story.path());
    let (_, others) = world.open_account("business").await;
    let _ = world
        .send(world.request(Method::POST, &path).bearer_auth(others))
        .await
        .refused(404, "not-found");
    let keys = format!("/v1/accounts/{}/api-keys", world.account);
    let weak = json!({"name": "weak", "scopes": ["agreements:write"]});
    let weak = world
        .operator(Method::POST, &keys, Some(weak))
        .await
        .expect(201)
        .text("key");
    let _ = world
        .send(world.request(Method::POST, &path).bearer_auth(weak))
        .await
        .refused(403, "forbidden");
    let auditor = json!({"name": "auditor", "scopes": ["audit:read"]});
    let auditor = world
        .operator(Method::POST, &keys, Some(auditor))
        .await
        .expect(201)
        .text("key");
    let _ = world
        .send(world.request(Method::POST, &path).bearer_auth(&auditor))
        .await
        .expect(201);
    let cancel = world
        .request(
            Method::POST,
            &format!("/v1/agreements/{}/cancel", story.sent.text("id")),
        )
        .bearer_auth(&auditor);
    let _ = world
        .send(cancel.json(&json!({"reason": "x"})))
        .await
        .refused(403, "forbidden");
    let operated = world
        .request(Method::POST, &format!("{path}?account={}", world.account))
        .bearer_auth(OPERATOR);
    let _ = world.send(operated).await.expect(201);
    let unknown = "/v1/agreements/agr_00000000000000000000000001/audit/links";
    let _ = world
        .backend(Method::POST, unknown, None)
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn it_opens_each_part_of_a_long_report() {
    let story = Story::new().await;
    let recipient = story.sent.body["recipients"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    lengthen(
        &story.world,
        &story.sent.text("id"),
        ENTRIES_MAX + 5,
        resent(&recipient),
    )
    .await;
    let token = story.token().await;
    let first = story
        .read(&token, &format!("{}?part=1", story.path()))
        .await
        .expect(200);
    assert_eq!(
        first.header("link"),
        Some(format!("<{}?part=2>; rel=\"next\"", story.path()).as_str())
    );
    let second = story
        .read(&token, &format!("{}?part=2", story.path()))
        .await
        .expect(200);
    assert_eq!(second.body["part"]["last"], json!(ENTRIES_MAX + 6));
    let _ = story
        .read(&token, &story.path())
        .await
        .refused(422, "report-in-parts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_that_are_made_at_once_is_told() {
    let story = Story::new().await;
    let answers = futures_util::future::join_all((0..10).map(|_| story.make())).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(
        made > 0
            && answers
                .iter()
                .all(|answer| [201, 409].contains(&answer.status))
    );
    let report = story
        .world
        .backend(Method::GET, &story.path(), None)
        .await
        .expect(200)
        .body;
    let entries: Vec<&Value> = report["entries"].as_array().unwrap().iter().collect();
    assert_eq!(
        entries
            .iter()
            .filter(|entry| entry["action"] == "report-link-created")
            .count(),
        made
    );
}
