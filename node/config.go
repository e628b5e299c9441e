package node

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/verbs"
)

// Config is everything that a user may set. Its shape is that of the YAML file, key by key; [DefaultConfig] holds what
// is true where nothing is set, and [LoadConfig] reads and checks one.
//
// A field tagged secret is never printed.
type Config struct {
	AccountID    string        `yaml:"account_id"`    // accountId in every webhook and in the API's paths; letters, digits, - . _ ~
	DrainTimeout time.Duration `yaml:"drain_timeout"` // how long live calls may go on after SIGTERM; 0: not at all
	Applications []Application `yaml:"applications"`  // the first one that matches takes the call; none: 404

	SIP            SIPConfig            `yaml:"sip"`
	Refer          ReferConfig          `yaml:"refer"`
	Media          MediaConfig          `yaml:"media"`
	Webhook        WebhookConfig        `yaml:"webhook"`
	API            APIConfig            `yaml:"api"`
	Recordings     RecordingsConfig     `yaml:"recordings"`
	Transcriptions TranscriptionsConfig `yaml:"transcriptions"`
	State          StateConfig          `yaml:"state"`
	CDR            CDRConfig            `yaml:"cdr"`
	Log            LogConfig            `yaml:"log"`
	HEP            HEPConfig            `yaml:"hep"`
	Tracing        TracingConfig        `yaml:"tracing"`
}

// Application is a web application, and which calls it gets.
type Application struct {
	ID    string   `yaml:"id"`    // applicationId in webhooks; default: "application-" and its place in the list, from 1
	Match []string `yaml:"match"` // globs over the Request-URI's user part, or over user@host if it holds an @; default: ["*"]

	CallInitiatedCallbackURL    string `yaml:"call_initiated_callback_url"` // asked for the first document; required
	CallInitiatedMethod         string `yaml:"call_initiated_method"`       // POST or GET
	CallInitiatedFallbackURL    string `yaml:"call_initiated_fallback_url"`
	CallInitiatedFallbackMethod string `yaml:"call_initiated_fallback_method"`
	CallStatusCallbackURL       string `yaml:"call_status_callback_url"` // told of the end of calls; empty: not told
	CallStatusMethod            string `yaml:"call_status_method"`

	CallbackTimeout  time.Duration `yaml:"callback_timeout"` // 1s..25s
	Username         string        `yaml:"username"`         // HTTP Basic for the initiated and the status URL
	Password         string        `yaml:"password" secret:"true"`
	FallbackUsername string        `yaml:"fallback_username"`
	FallbackPassword string        `yaml:"fallback_password" secret:"true"`
	Tag              string        `yaml:"tag"` // that a new call starts with; at most 256 characters
}

// SIPConfig is the telephone side.
type SIPConfig struct {
	Listen            []Listener      `yaml:"listen"`
	Advertise         string          `yaml:"advertise"`   // host or host:port for Via, Contact and SDP
	Allow             []netip.Prefix  `yaml:"allow"`       // who may send requests; none: everybody
	PSTNTrunks        []netip.Prefix  `yaml:"pstn_trunks"` // whose calls are telephone calls
	Users             []SIPUser       `yaml:"users"`       // who may call, by digest authentication; none: everybody
	Credentials       []SIPCredential `yaml:"credentials"` // for challenges of our own requests
	TLS               SIPTLSConfig    `yaml:"tls"`
	MaxConnections    int             `yaml:"max_connections"`      // of TCP and TLS, at each listener; 0: no limit
	MaxCalls          int             `yaml:"max_calls"`            // 0: no limit
	MaxCallsPerSecond int             `yaml:"max_calls_per_second"` // 0: no limit
	RejectCode        int             `yaml:"reject_code"`          // 400..699
	Keepalive         time.Duration   `yaml:"keepalive"`            // 0: off, else 100ms..24h

	Realm                string        `yaml:"realm"`                   // of digest authentication; empty: the host of advertise, else callengine
	NonceLifetime        time.Duration `yaml:"nonce_lifetime"`          // how long a phone may sign for one challenge; 1s..24h
	MaxRequestsPerSource int           `yaml:"max_requests_per_source"` // that belong to no call, per second and address; 0: no limit
	SilenceAfter         int           `yaml:"silence_after"`           // failures until a strange address gets no answer for a while; 0: never
	MaxUnanswered        int           `yaml:"max_unanswered"`          // calls that are not answered yet; 0: no limit
	OverloadControl      bool          `yaml:"overload_control"`        // turn calls away when more work waits than can be done in time

	SessionExpires time.Duration `yaml:"session_expires"` // 0: no session timers, else min_se..24h
	MinSE          time.Duration `yaml:"min_se"`          // the shortest session interval taken; 90s..24h

	TransactionTimeout time.Duration `yaml:"transaction_timeout"` // until a request, or a 2xx to an INVITE, is given up; 100ms..32s
}

// SIPUser may place calls.
type SIPUser struct {
	Username string `yaml:"username"`
	Password string `yaml:"password" secret:"true"`
}

// SIPCredential answers a challenge of its realm.
type SIPCredential struct {
	Realm    string `yaml:"realm"`
	Username string `yaml:"username"`
	Password string `yaml:"password" secret:"true"`
}

// SIPTLSConfig is for listeners with tls://, and for connections to peers over TLS. The files are read again when they
// change.
type SIPTLSConfig struct {
	CertFile     string `yaml:"cert_file"`     // PEM: the certificate, then its chain
	KeyFile      string `yaml:"key_file"`      // PEM
	CAFile       string `yaml:"ca_file"`       // PEM: whose certificates peers may show; empty: the system's authorities
	VerifyClient bool   `yaml:"verify_client"` // peers that connect have to show a certificate of ca_file's
}

// ReferConfig bounds what Refer may do.
type ReferConfig struct {
	NotifyTimeout time.Duration `yaml:"notify_timeout"` // 100ms..10m
	AllowTargets  []string      `yaml:"allow_targets"`  // globs over the host of a Refer's SipUri; none: any
}

// MediaConfig is the sound of calls.
type MediaConfig struct {
	Address      string        `yaml:"address"`       // host or IP in SDP; empty: sip.advertise's host, else the listener's
	Latching     string        `yaml:"latching"`      // strict, any or off: from where RTP may come besides the address in SDP
	LatchingTime time.Duration `yaml:"latching_time"` // how long after a session description; 100ms..1h
	RTPPorts     PortRange     `yaml:"rtp_ports"`     // each call takes an even one and the next
	Codecs       []string      `yaml:"codecs"`        // PCMU, PCMA, G722, opus
	SRTP         string        `yaml:"srtp"`          // off, optional or required
	TTS          TTSConfig     `yaml:"tts"`
	STT          STTConfig     `yaml:"stt"`
}

// TTSConfig is the engine that speaks.
type TTSConfig struct {
	Engine  string   `yaml:"engine"`  // espeak-ng, command, http or none
	Command []string `yaml:"command"` // program and arguments of the engine "command"
	URL     string   `yaml:"url"`     // of the engine "http"
	Voices  []Voice  `yaml:"voices"`  // beyond the built-in ones; one of the same name replaces it
}

// STTConfig is the engine that turns speech into text.
type STTConfig struct {
	Engine    string `yaml:"engine"`    // pocketsphinx, websocket or none
	URL       string `yaml:"url"`       // of the engine "websocket": ws or wss
	Processes int    `yaml:"processes"` // of pocketsphinx at once; 0: as many as there are processors
}

// Voice is a voice that documents may ask for, and what the engine calls it.
type Voice struct {
	Name   string `yaml:"name"`
	Locale string `yaml:"locale"` // such as en_US
	Gender string `yaml:"gender"` // female or male
	Voice  string `yaml:"voice"`  // the engine's own name of it; empty: its choice for the locale
}

// WebhookConfig says with whom a node speaks HTTP. It holds for audio files, too.
type WebhookConfig struct {
	AllowHosts []string       `yaml:"allow_hosts"` // globs; none: any host
	DenyCIDRs  []netip.Prefix `yaml:"deny_cidrs"`  // never connected to
	TLSCAFile  string         `yaml:"tls_ca_file"` // PEM; empty: the system's authorities
	MaxLatency time.Duration  `yaml:"max_latency"` // of initiate on the average, above which an application's new calls get 503; 0: no limit
}

// APIConfig is the HTTP side.
type APIConfig struct {
	Listen    string `yaml:"listen"`     // host:port
	PublicURL string `yaml:"public_url"` // base of callUrl; default: http:// and api.listen (loopback for a wildcard); empty: where HTTP listens
	Username  string `yaml:"username"`   // HTTP Basic when set
	Password  string `yaml:"password" secret:"true"`
}

// RecordingsConfig says where recordings are kept and for how long.
type RecordingsConfig struct {
	Dir       string        `yaml:"dir"`       // descriptions, and the files that are not in a store
	Retention time.Duration `yaml:"retention"` // from the end of a recording on; at least 1m
	S3        S3Config      `yaml:"s3"`
}

// S3Config is the store that the files of recordings go to.
type S3Config struct {
	Endpoint  string `yaml:"endpoint"` // http:// or https:// and host; empty: files stay in recordings.dir
	Bucket    string `yaml:"bucket"`
	Region    string `yaml:"region"` // empty: the store tells
	AccessKey string `yaml:"access_key"`
	SecretKey string `yaml:"secret_key" secret:"true"`
	Prefix    string `yaml:"prefix"` // of all keys
}

// TranscriptionsConfig says where the texts of calls are kept and for how long. Those of recordings are beside these.
type TranscriptionsConfig struct {
	Dir       string        `yaml:"dir"`
	Retention time.Duration `yaml:"retention"` // from the end of a transcription on; at least 1m
}

// StateConfig says what is kept, where and for how long.
type StateConfig struct {
	Dir           string        `yaml:"dir"`            // of the store in the process; empty: state is in memory alone
	NATSURL       string        `yaml:"nats_url"`       // of a NATS server or cluster with JetStream, which is used instead; several with commas
	Node          string        `yaml:"node"`           // name in that cluster, of letters, digits and -; empty: the host's
	Lease         time.Duration `yaml:"lease"`          // how long a node of it that is not heard of keeps its calls; 1s..5m
	Fsync         string        `yaml:"fsync"`          // interval or always
	MaxMB         int           `yaml:"max_mb"`         // MiB of journals, from which on the oldest calls that are over go first; at least 64
	CallRetention time.Duration `yaml:"call_retention"` // at least 1s
	OutboxMaxAge  time.Duration `yaml:"outbox_max_age"` // at least 1s
}

// CDRConfig says where call detail records go.
type CDRConfig struct {
	Dir       string        `yaml:"dir"`       // empty: none are written
	MaxMB     int           `yaml:"max_mb"`    // MiB of a file, from which on another one begins; at least 1
	Retention time.Duration `yaml:"retention"` // of a file, from its last record on; 0: for ever, else at least 1h
}

// LogConfig is the log on standard error.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // console or json
}

// HEPConfig is the collector of SIP messages and RTCP reports.
type HEPConfig struct {
	Address   string `yaml:"address"`    // host:port; empty: nothing is exported
	Transport string `yaml:"transport"`  // udp or tcp
	CaptureID int    `yaml:"capture_id"` // that the collector knows the node by; 0..4294967295
	Password  string `yaml:"password" secret:"true"`
}

// TracingConfig is the collector of traces.
type TracingConfig struct {
	OTLPURL     string  `yaml:"otlp_url"`     // of OTLP over HTTP, its path included; empty: nothing is traced
	SampleRatio float64 `yaml:"sample_ratio"` // share of the calls that are traced; 0..1
}

// DefaultConfig returns what is true where nothing is set. It has no applications.
func DefaultConfig() Config {
	loopback := netip.MustParseAddrPort("127.0.0.1:5060")
	return Config{
		AccountID:    "5555555",
		DrainTimeout: 30 * time.Second,
		SIP: SIPConfig{
			Listen:         []Listener{{"udp", loopback}, {"tcp", loopback}},
			RejectCode:     603,
			MaxConnections: 10000,
			Keepalive:      time.Minute,

			SessionExpires: 30 * time.Minute,
			MinSE:          90 * time.Second,

			NonceLifetime:   5 * time.Minute,
			SilenceAfter:    20,
			OverloadControl: true,

			TransactionTimeout: 32 * time.Second,
		},
		Refer: ReferConfig{NotifyTimeout: 30 * time.Second},
		Media: MediaConfig{
			Latching: string(media.LatchStrict), LatchingTime: 5 * time.Second,
			RTPPorts: PortRange{20000, 29999},
			Codecs:   []string{"PCMU", "PCMA"},
			SRTP:     string(sipstack.SRTPOff),
			TTS:      TTSConfig{Engine: EngineESpeak},
			STT:      STTConfig{Engine: EnginePocketsphinx},
		},
		Webhook: WebhookConfig{
			DenyCIDRs:  []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10")},
			MaxLatency: 10 * time.Second,
		},
		API:            APIConfig{Listen: "127.0.0.1:8088", PublicURL: "http://127.0.0.1:8088"},
		Recordings:     RecordingsConfig{Dir: "./callengine-recordings", Retention: 30 * 24 * time.Hour},
		Transcriptions: TranscriptionsConfig{Dir: "./callengine-transcriptions", Retention: 30 * 24 * time.Hour},
		State:          StateConfig{Dir: "./callengine-data", Lease: 10 * time.Second, Fsync: "interval", MaxMB: 4096, CallRetention: 24 * time.Hour, OutboxMaxAge: 24 * time.Hour},
		CDR:            CDRConfig{MaxMB: 100},
		Log:            LogConfig{Level: "info", Format: "console"},

		HEP:     HEPConfig{Transport: "udp", CaptureID: 2001},
		Tracing: TracingConfig{SampleRatio: 1},
	}
}

// defaultApplication returns what is true of an application, the nth from 1, where nothing is said about it.
func defaultApplication(n int) Application {
	return Application{
		ID:                          "application-" + strconv.Itoa(n),
		Match:                       []string{"*"},
		CallInitiatedMethod:         "POST",
		CallInitiatedFallbackMethod: "POST",
		CallStatusMethod:            "POST",
		CallbackTimeout:             15 * time.Second,
	}
}

// Parser returns the reader of the documents that a node with this configuration runs.
func (c Config) Parser() *verbs.Parser { return verbs.NewParser(c.languageConfig()) }
