//! The whole stack in one process: its parts, in the order in which they start and stop.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use shared::account::api_key::ApiKey;
use shared::agreement::kba::webhook;
use shared::agreement::provider::CachedSecret;
use shared::kernel::clock::{Clock, Span};
use shared::kernel::config::Config;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::Keyrings;
use shared::kernel::secret::Secret;
use shared::messaging::courier::Courier;
use shared::signin::sso::IssuerKeys;
use shared::store::app::App;
use shared::store::dynamo::{Failure, Meter, Table, create_table};
use tokio::net::TcpListener;

use crate::control::Control;
use crate::demo::{self, Demo};
use crate::dispatch::Functions;
use crate::engine::Engine;
use crate::faults::Faults;
use crate::gateway::Gateway;
use crate::inbox::{self, Outbox};
use crate::keys;
use crate::plan::Service;
use crate::provider::{self, Provider, Vendor};
use crate::sdk::Sdk;
use crate::server::{self, Doors};
use crate::serving::Serving;
use crate::store::Store;

/// Who mails come from, unless the configuration says otherwise.
const MAIL_FROM: &str = "no-reply@countersign.example";

/// How a stack is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address that the public port listens at.
    pub host: IpAddr,
    /// The public port; 0 takes any that is free.
    pub port: u16,
    /// The data directory; without one, all is gone when the stack stops.
    pub data: Option<PathBuf>,
    /// The operator's key; without one, the kept one or a new one.
    pub operator_key: Option<Secret<String>>,
    /// The clock, which starts at now: what the data directory remembers of earlier advances is
    /// added to it.
    pub clock: Clock,
    /// Whether requests to DynamoDB are counted.
    pub metered: bool,
    /// Whether a demo account is made on the first start.
    pub demo: bool,
    /// The deployment's configuration. Without a base URL, the stack's own address is one.
    pub config: Config,
    /// Another DynamoDB than the embedded one. Without a data directory, the table gets a name of
    /// its own.
    pub dynamodb_endpoint: Option<String>,
    /// Another source of what callbacks are signed with than the provider of this machine.
    pub callback_secrets: Option<CachedSecret<webhook::Secrets>>,
    /// Another SES than the inbox.
    pub ses_endpoint: Option<String>,
    /// Another SNS than the inbox.
    pub sns_endpoint: Option<String>,
    /// Another keyring than this machine's own.
    pub keyrings: Option<Keyrings>,
    /// Whether calls to DynamoDB, SES and SNS take no time of the runtime's clock, so that it may
    /// be paused.
    pub apart: bool,
}

impl Options {
    /// Any port of this machine, nothing kept, no demo: as tests want it.
    pub fn ephemeral() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            data: None,
            operator_key: None,
            clock: Clock::system(),
            metered: false,
            demo: false,
            config: Config::read(|_| None),
            dynamodb_endpoint: None,
            callback_secrets: None,
            ses_endpoint: None,
            sns_endpoint: None,
            keyrings: None,
            apart: false,
        }
    }
}

/// Why a stack did not start, in a sentence.
#[derive(Debug)]
#[expect(missing_docs, reason = "what each says is its documentation")]
pub enum StartError {
    PortInUse { address: SocketAddr },
    Listen { address: String, cause: String },
    Data { path: PathBuf, cause: String },
    Locked { path: PathBuf },
    Keyring(String),
    Engine(String),
    Table(String),
    Demo(String),
    Provider(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortInUse { address } => {
                write!(
                    f,
                    "{address} is in use already: stop what listens there, or choose another --port."
                )
            }
            Self::Listen { address, cause } => {
                write!(f, "Nothing can listen at {address}: {cause}.")
            }
            Self::Data { path, cause } => write!(
                f,
                "The data directory {} cannot be used: {cause}.",
                path.display()
            ),
            Self::Locked { path } => {
                write!(
                    f,
                    "The data directory {} is in use by another running stack: stop it, or choose another --data.",
                    path.display()
                )
            }
            Self::Keyring(cause) => write!(f, "The keyring cannot be used: {cause}."),
            Self::Engine(cause) => write!(f, "The embedded DynamoDB did not start: {cause}."),
            Self::Table(cause) => write!(f, "The table is not usable: {cause}."),
            Self::Demo(cause) => write!(f, "The demo account could not be made: {cause}."),
            Self::Provider(cause) => write!(f, "The KBA provider did not start: {cause}."),
        }
    }
}

impl std::error::Error for StartError {}

/// A running stack.
#[derive(Debug)]
pub struct Stack {
    base_url: String,
    operator_key: Secret<String>,
    app: App,
    courier: Courier,
    gateway: Gateway,
    meter: Meter,
    faults: Faults,
    outbox: Outbox,
    inbox: String,
    provider: Provider,
    demo: Option<Demo>,
    /// In the order in which they stop.
    serving: Vec<Serving>,
}

impl Stack {
    /// Starts a stack; when this returns, it answers.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        // First of all, so that a second stack leaves no trace.
        let (listener, address) = bind(options.host, options.port).await?;
        // The port after ours; any, where ours was any.
        let next = if options.port == 0 {
            0
        } else {
            options.port.saturating_add(1)
        };
        let provider_door = bind(options.host, next).await?;
        let store = Arc::new(Store::open(options.data.as_deref())?);
        options
            .clock
            .advance(Span::seconds(store.state().clock_ahead));
        let parts = Parts::start(&options, &store, address, provider_door).await?;
        let Parts {
            app,
            courier,
            issuers,
            meter,
            faults,
            outbox,
            inbox,
            provider,
            vendor,
            mut serving,
        } = parts;
        let operator_key = operator(&app, &store, options.operator_key.clone()).await?;
        let gateway = Gateway::new(
            Functions::new(&app, courier.clone(), vendor, issuers),
            app.clock.clone(),
            app.entropy.clone(),
        );
        let demo = if options.demo {
            Some(demo(&gateway, &store, &operator_key).await?)
        } else {
            None
        };
        let control = Control {
            app: app.clone(),
            courier: courier.clone(),
            outbox: outbox.clone(),
            faults: faults.clone(),
            store,
            provider: provider.clone(),
        };
        serving.insert(
            0,
            Serving::router(
                listener,
                server::router(Doors {
                    gateway: gateway.clone(),
                    control,
                }),
            ),
        );
        // Whoever counts begins with the first request.
        meter.take();
        faults.clear();
        let base_url = format!("http://{address}");
        Ok(Self {
            base_url,
            operator_key,
            app,
            courier,
            gateway,
            meter,
            faults,
            outbox,
            inbox,
            provider,
            demo,
            serving,
        })
    }

    /// Where it answers: `http://127.0.0.1:9000`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The operator's key.
    pub const fn operator_key(&self) -> &Secret<String> {
        &self.operator_key
    }

    /// The service's clock.
    pub const fn clock(&self) -> &Clock {
        &self.app.clock
    }

    /// What requests to DynamoDB cost, where [`Options::metered`] is set.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What goes wrong on purpose.
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What the functions hold.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// The table.
    pub const fn table(&self) -> &Table {
        &self.app.table
    }

    /// The hands that messages are given to.
    pub const fn courier(&self) -> &Courier {
        &self.courier
    }

    /// The functions behind API Gateway, without a port between.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What was sent.
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Where the inbox takes what SES and SNS would.
    pub fn inbox(&self) -> &str {
        &self.inbox
    }

    /// The KBA provider of this machine.
    pub const fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The demo account, where [`Options::demo`] is set.
    pub const fn demo(&self) -> Option<&Demo> {
        self.demo.as_ref()
    }

    /// Stops it: requests that run are answered, and what is kept is on disk.
    pub async fn stop(self) {
        for serving in self.serving {
            serving.stop().await;
        }
    }
}

/// What stands behind the public port.
struct Parts {
    app: App,
    courier: Courier,
    issuers: IssuerKeys,
    meter: Meter,
    faults: Faults,
    outbox: Outbox,
    inbox: String,
    provider: Provider,
    vendor: Vendor,
    serving: Vec<Serving>,
}

impl Parts {
    async fn start(
        options: &Options,
        store: &Arc<Store>,
        address: SocketAddr,
        (provider_listener, provider_address): (TcpListener, SocketAddr),
    ) -> Result<Self, StartError> {
        let (clock, entropy, outbox) =
            (options.clock.clone(), Entropy::system(), Outbox::default());
        let database = store.file("dynamodb.sqlite");
        let engine = async {
            match options.dynamodb_endpoint {
                Some(_) => Ok(None),
                None => Engine::start(database.as_deref()).await.map(Some),
            }
        };
        let inbox = inbox::start(outbox.clone(), clock.clone(), entropy.clone());
        let (engine, inbox, keyrings) = tokio::try_join!(
            engine,
            inbox,
            keyrings(options, Arc::clone(store), clock.clone(), entropy.clone())
        )?;
        let (inbox_endpoint, inbox) = inbox;
        let config = config(options, address, provider_address, &entropy);
        let secrets = provider::Secrets::kept(store, &entropy)?;
        let origin = format!("http://{provider_address}");
        let provider = Provider::new(
            origin,
            &format!("http://{address}"),
            clock.clone(),
            entropy.clone(),
            secrets,
        );
        let provider_serving = provider.serve(provider_listener);
        let faults = Faults::default();
        let sdk = Sdk::new(faults.clone(), options.apart);
        let mut vendor = provider.vendor(sdk.outbound(Service::Provider, &config), &config);
        vendor.secrets = options.callback_secrets.clone().or(vendor.secrets);
        let endpoint =
            |given: &Option<String>| given.clone().unwrap_or_else(|| inbox_endpoint.clone());
        let dynamodb = options
            .dynamodb_endpoint
            .clone()
            .or_else(|| engine.as_ref().map(|engine| engine.endpoint.clone()));
        let table = table(
            &sdk,
            &dynamodb.unwrap_or_default(),
            &config.table_name,
            entropy.clone(),
        )
        .await?;
        let meter = Meter::default();
        let table = if options.metered {
            table.metered(meter.clone())
        } else {
            table
        };
        let ses = aws_sdk_sesv2::Config::from(
            &sdk.config(Service::Ses, &endpoint(&options.ses_endpoint)),
        );
        let sns =
            aws_sdk_sns::Config::from(&sdk.config(Service::Sns, &endpoint(&options.sns_endpoint)));
        if options.ses_endpoint.is_some() {
            verify_sender(&aws_sdk_sesv2::Client::from_conf(ses.clone()), &config).await;
        }
        let courier = Courier::over(&ses, &sns, &config);
        let issuers = IssuerKeys::new(sdk.outbound(Service::Issuer, &config));
        let app = App {
            clock,
            entropy,
            config,
            table,
            keyrings,
        };
        let serving = [
            Some(provider_serving),
            Some(inbox),
            engine.map(|engine| engine.serving),
        ];
        let serving = serving.into_iter().flatten().collect();
        Ok(Self {
            app,
            courier,
            issuers,
            meter,
            faults,
            outbox,
            inbox: inbox_endpoint,
            provider,
            vendor,
            serving,
        })
    }
}

async fn bind(host: IpAddr, port: u16) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = SocketAddr::new(host, port);
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => StartError::PortInUse { address },
        _ => StartError::Listen {
            address: address.to_string(),
            cause: error.to_string(),
        },
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let mut bound = listener.local_addr().map_err(refused)?;
    // What listens at all addresses is reached at this machine's own.
    if bound.ip().is_unspecified() {
        bound.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok((listener, bound))
}

async fn keyrings(
    options: &Options,
    store: Arc<Store>,
    clock: Clock,
    entropy: Entropy,
) -> Result<Keyrings, StartError> {
    if let Some(keyrings) = &options.keyrings {
        return Ok(keyrings.clone());
    }
    let made =
        tokio::task::spawn_blocking(move || keys::keyring(&store, clock.now(), &entropy)).await;
    made.map_err(|error| StartError::Keyring(error.to_string()))?
        .map(Keyrings::given)
}

fn config(
    options: &Options,
    address: SocketAddr,
    provider: SocketAddr,
    entropy: &Entropy,
) -> Config {
    let mut config = Config {
        local: true,
        ..options.config.clone()
    };
    config
        .base_url
        .get_or_insert_with(|| format!("http://{address}"));
    config.mail_from.get_or_insert_with(|| MAIL_FROM.into());
    config
        .provider_url
        .get_or_insert_with(|| format!("http://{provider}"));
    if options.dynamodb_endpoint.is_some() && options.data.is_none() {
        config.table_name = format!(
            "{}-{:08x}",
            config.table_name,
            u32::from_be_bytes(entropy.bytes())
        );
    }
    config
}

async fn table(
    sdk: &Sdk,
    endpoint: &str,
    name: &str,
    entropy: Entropy,
) -> Result<Table, StartError> {
    let client = aws_sdk_dynamodb::Client::new(&sdk.config(Service::Dynamodb, endpoint));
    create_table(&client, name)
        .await
        .map_err(|failure| StartError::Table(cause(failure)))?;
    Ok(Table::new(client, name.to_owned(), entropy))
}

/// SES sends for verified senders only; a stand-in for it verifies at once.
async fn verify_sender(ses: &aws_sdk_sesv2::Client, config: &Config) {
    let verified = ses
        .create_email_identity()
        .set_email_identity(config.mail_from.clone())
        .send()
        .await;
    if let Err(error) = verified {
        tracing::info!(cause = %error, "SES did not verify the sender, which may already be verified; no action needed");
    }
}

async fn operator(
    app: &App,
    store: &Store,
    given: Option<Secret<String>>,
) -> Result<Secret<String>, StartError> {
    let kept = store.state().operator_key.map(Secret::new);
    let made = given.is_none() && kept.is_none();
    let text = given
        .or(kept)
        .unwrap_or_else(|| ApiKey::operator_text(&app.entropy));
    let key = ApiKey::operator(&text, "local".into(), app.clock.now());
    let write = key
        .create()
        .map_err(|failure| StartError::Table(cause(failure)))?;
    match app.table.transact(vec![write.into()]).await {
        // It is there from an earlier run.
        Ok(()) | Err(Failure::Condition(_)) => {}
        Err(failure) => return Err(StartError::Table(cause(failure))),
    }
    if made {
        let kept = store.update(|state| state.operator_key = Some(text.expose().clone()));
        kept.map_err(|error| StartError::Keyring(error.to_string()))?;
    }
    Ok(text)
}

async fn demo(
    gateway: &Gateway,
    store: &Store,
    operator: &Secret<String>,
) -> Result<Demo, StartError> {
    if let Some(demo) = store.state().demo {
        return Ok(demo);
    }
    let demo = demo::make(gateway, operator).await?;
    let kept = store.update(|state| state.demo = Some(demo.clone()));
    kept.map_err(|error| StartError::Demo(error.to_string()))?;
    Ok(demo)
}

fn cause(failure: Failure) -> String {
    match failure {
        Failure::Unavailable(inner) => format!("{}: {}", inner.doing, inner.cause),
        Failure::Condition(_) => "a condition did not hold".into(),
        Failure::Conflict => "another process holds it".into(),
    }
}
