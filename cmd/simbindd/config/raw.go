package config

// file is the configuration file as it is written. Durations, sizes, addresses
// and prefixes are text until they are checked; zero values are absent keys.
type file struct {
	Site         string         `yaml:"site"`
	Pair         string         `yaml:"pair"`
	DataDir      string         `yaml:"data_dir"`
	Capacity     *int           `yaml:"capacity"`
	Addresses    *int           `yaml:"addresses"`
	Lease        string         `yaml:"lease"`
	LeaseGrace   string         `yaml:"lease_grace"`
	Linger       string         `yaml:"linger"`
	LossTimeout  string         `yaml:"loss_timeout"`
	TrustGap     string         `yaml:"trust_gap"`
	MaxDelay     string         `yaml:"max_delay"`
	BlindDelay   string         `yaml:"blind_delay"`
	Queue        *int           `yaml:"queue"`
	Domains      []domain       `yaml:"domains"`
	Parallel     bool           `yaml:"parallel_sessions"`
	MultiSIM     string         `yaml:"multi_sim"`
	Placeholders []string       `yaml:"placeholders"`
	Follow       siteList       `yaml:"follow"`
	Remote       *remoteSection `yaml:"remote"`

	// Keys of former versions, which are ignored.
	Tombstones   any `yaml:"tombstones"`
	TombstoneTTL any `yaml:"tombstone_ttl"`

	RADIUS    *radiusSection    `yaml:"radius"`
	Diameter  *diameterSection  `yaml:"diameter"`
	Tap       *tapSection       `yaml:"tap"`
	Query     *querySection     `yaml:"query"`
	Directory *directorySection `yaml:"directory"`
	NATS      natsSection       `yaml:"nats"`
	Privacy   privacySection    `yaml:"privacy"`
	Metrics   *metricsSection   `yaml:"metrics"`
	Log       logSection        `yaml:"log"`
}

type domain struct {
	Name  string   `yaml:"name"`
	APNs  []string `yaml:"apns"`
	Pools []string `yaml:"pools"`
	// Widest are the shortest prefixes that one session may hold.
	Widest widest `yaml:"widest"`
}

type widest struct {
	IPv4 *int `yaml:"ipv4"`
	IPv6 *int `yaml:"ipv6"`
}

type radiusSection struct {
	Listen          []string       `yaml:"listen"`
	Clients         []radiusClient `yaml:"clients"`
	ReceiveBuffer   string         `yaml:"receive_buffer"`
	DuplicateWindow string         `yaml:"duplicate_window"`
	ProxyTo         *radiusProxy   `yaml:"proxy_to"`
	RadSec          *radsecSection `yaml:"radsec"`
}

type radiusClient struct {
	Name                        string   `yaml:"name"`
	Group                       string   `yaml:"group"`
	Prefix                      string   `yaml:"prefix"`
	Certificate                 string   `yaml:"certificate"`
	Secret                      string   `yaml:"secret"`
	SecretFile                  string   `yaml:"secret_file"`
	RequireMessageAuthenticator bool     `yaml:"require_message_authenticator"`
	MSISDNStrip                 []string `yaml:"msisdn_strip"`
	Nodes                       []string `yaml:"nodes"`
	BlindDelay                  string   `yaml:"blind_delay"`
	LossTimeout                 string   `yaml:"loss_timeout"`
}

type radiusProxy struct {
	Server     string `yaml:"server"`
	Secret     string `yaml:"secret"`
	SecretFile string `yaml:"secret_file"`
	Timeout    string `yaml:"timeout"`
	Pending    *int   `yaml:"pending"`
}

type radsecSection struct {
	Listen         []string `yaml:"listen"`
	CertFile       string   `yaml:"cert_file"`
	KeyFile        string   `yaml:"key_file"`
	CAFile         string   `yaml:"ca_file"`
	MaxConnections *int     `yaml:"max_connections"`
	IdleTimeout    string   `yaml:"idle_timeout"`
}

type diameterSection struct {
	Mode           string             `yaml:"mode"`
	Listen         []string           `yaml:"listen"`
	OriginHost     string             `yaml:"origin_host"`
	OriginRealm    string             `yaml:"origin_realm"`
	Peers          []diameterPeer     `yaml:"peers"`
	SCTPListen     []string           `yaml:"sctp_listen"`
	TLS            *diameterTLS       `yaml:"tls"`
	Upstreams      []diameterUpstream `yaml:"upstreams"`
	AnswerTimeout  string             `yaml:"answer_timeout"`
	Reconnect      string             `yaml:"reconnect"`
	MaxMessage     string             `yaml:"max_message"`
	MaxConnections *int               `yaml:"max_connections"`
	InFlight       *int               `yaml:"in_flight"`
	Watchdog       string             `yaml:"watchdog"`
}

type diameterUpstream struct {
	Address  string `yaml:"address"`
	Host     string `yaml:"host"`
	Priority *int   `yaml:"priority"`
	Weight   *int   `yaml:"weight"`
	TLS      bool   `yaml:"tls"`
}

type diameterTLS struct {
	Listen   []string `yaml:"listen"`
	CertFile string   `yaml:"cert_file"`
	KeyFile  string   `yaml:"key_file"`
	CAFile   string   `yaml:"ca_file"`
}

type diameterPeer struct {
	Host        string   `yaml:"host"`
	Realm       string   `yaml:"realm"`
	Group       string   `yaml:"group"`
	Addresses   []string `yaml:"addresses"`
	Nodes       []string `yaml:"nodes"`
	MSISDNStrip []string `yaml:"msisdn_strip"`
}

type tapSection struct {
	Interfaces  []string    `yaml:"interfaces"`
	Promiscuous bool        `yaml:"promiscuous"`
	OnLoss      string      `yaml:"on_loss"`
	Mode        string      `yaml:"mode"`
	SnapLength  string      `yaml:"snap_length"`
	RingBuffer  string      `yaml:"ring_buffer"`
	Ports       tapPorts    `yaml:"ports"`
	Clients     []tapClient `yaml:"clients"`
	MSISDNStrip []string    `yaml:"msisdn_strip"`
	Groups      []tapGroup  `yaml:"groups"`
	Silence     string      `yaml:"silence"`
}

type tapGroup struct {
	Name      string   `yaml:"name"`
	Addresses []string `yaml:"addresses"`
}

type tapClient struct {
	Name                        string   `yaml:"name"`
	Group                       string   `yaml:"group"`
	Prefix                      string   `yaml:"prefix"`
	Secret                      string   `yaml:"secret"`
	SecretFile                  string   `yaml:"secret_file"`
	RequireMessageAuthenticator bool     `yaml:"require_message_authenticator"`
	MSISDNStrip                 []string `yaml:"msisdn_strip"`
	Nodes                       []string `yaml:"nodes"`
	BlindDelay                  string   `yaml:"blind_delay"`
}

type tapPorts struct {
	GTP      []uint16 `yaml:"gtp"`
	PFCP     []uint16 `yaml:"pfcp"`
	RADIUS   []uint16 `yaml:"radius"`
	Diameter []uint16 `yaml:"diameter"`
}

type querySection struct {
	Socket         string `yaml:"socket"`
	Roles          roles  `yaml:"roles"`
	MaxConnections *int   `yaml:"max_connections"`
	IdleTimeout    string `yaml:"idle_timeout"`
	Priority       string `yaml:"priority"`
}

type roles struct {
	Verify principals `yaml:"verify"`
	Read   principals `yaml:"read"`
	Admin  principals `yaml:"admin"`
}

type principals struct {
	UIDs []uint32 `yaml:"uids"`
	GIDs []uint32 `yaml:"gids"`
}

type natsSection struct {
	URL       string          `yaml:"url"`
	CredsFile string          `yaml:"creds_file"`
	NKeyFile  string          `yaml:"nkey_file"`
	TokenFile string          `yaml:"token_file"`
	TLS       tlsClient       `yaml:"tls"`
	Embedded  embeddedSection `yaml:"embedded"`
	Stream    streamSection   `yaml:"stream"`
	Hold      string          `yaml:"hold"`
	Service   *bool           `yaml:"service"`
}

type tlsClient struct {
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

type embeddedSection struct {
	Listen    string       `yaml:"listen"`
	TokenFile string       `yaml:"token_file"`
	CertFile  string       `yaml:"cert_file"`
	KeyFile   string       `yaml:"key_file"`
	MaxBytes  string       `yaml:"max_bytes"`
	Leaf      *leafSection `yaml:"leaf"`
}

type leafSection struct {
	URLs      []string  `yaml:"urls"`
	CredsFile string    `yaml:"creds_file"`
	NKeyFile  string    `yaml:"nkey_file"`
	TLS       tlsClient `yaml:"tls"`
}

type streamSection struct {
	Name     string `yaml:"name"`
	MaxAge   string `yaml:"max_age"`
	MaxBytes string `yaml:"max_bytes"`
	Replicas *int   `yaml:"replicas"`
}

type privacySection struct {
	PublishMSISDN string `yaml:"publish_msisdn"`
}

type metricsSection struct {
	Listen      string `yaml:"listen"`
	AllowRemote bool   `yaml:"allow_remote"`
}

type logSection struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}
