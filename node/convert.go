package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state/recordings/s3"
	"github.com/callengine/callengine/verbs"
)

// resolveTimeout bounds the look-up of the address in SDP when a node is put together.
const resolveTimeout = 5 * time.Second

// sipConfig is the configuration as the SIP stack takes it.
func (c Config) sipConfig() (sipstack.Config, error) {
	address, err := c.mediaAddress()
	if err != nil {
		return sipstack.Config{}, err
	}
	cfg := sipstack.Config{
		Advertise: c.SIP.Advertise, Allow: c.SIP.Allow, PSTNTrunks: c.SIP.PSTNTrunks,
		Keepalive: c.SIP.Keepalive, SessionExpires: c.SIP.SessionExpires, MinSE: c.SIP.MinSE, TransactionTimeout: c.SIP.TransactionTimeout, NotifyTimeout: c.Refer.NotifyTimeout,
	}
	if c.Media.Address != "" {
		cfg.MediaAddress = address
	} else {
		cfg.AdvertiseIP = address
	}
	cfg.MaxConnections, cfg.TLS = c.SIP.MaxConnections, sipstack.TLSConfig(c.SIP.TLS)
	for _, l := range c.SIP.Listen {
		cfg.Listeners = append(cfg.Listeners, sipstack.Listener{Network: l.Network, Address: l.Addr.String()})
	}
	cfg.Realm, cfg.NonceLifetime = c.SIP.Realm, c.SIP.NonceLifetime
	cfg.MaxRequestsPerSource, cfg.SilenceAfter = c.SIP.MaxRequestsPerSource, c.SIP.SilenceAfter
	for _, u := range c.SIP.Users {
		cfg.Users = append(cfg.Users, sipstack.User{Username: u.Username, Password: u.Password})
	}
	for _, x := range c.SIP.Credentials {
		cfg.Credentials = append(cfg.Credentials, sipstack.Credential{Realm: x.Realm, Username: x.Username, Password: x.Password})
	}
	for _, name := range c.Media.Codecs {
		if codec, ok := media.CodecNamed(name); ok { // the check has seen to that
			cfg.Codecs = append(cfg.Codecs, codec)
		}
	}
	cfg.SRTP = sipstack.SRTP(c.Media.SRTP)
	return cfg, nil
}

// mediaAddress is the address in SDP: media.address, else the host of sip.advertise; zero: that of the listener at which the
// call came. A name is looked up once, now.
func (c Config) mediaAddress() (netip.Addr, error) {
	key, host := "media.address", c.Media.Address
	if host == "" && c.SIP.Advertise != "" {
		advertised, _, err := splitHostPort(c.SIP.Advertise)
		if err != nil {
			return netip.Addr{}, &ConfigError{Key: "sip.advertise", Reason: err.Error()}
		}
		key, host = "sip.advertise", advertised
	}
	if host == "" {
		return netip.Addr{}, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return netip.Addr{}, &ConfigError{Key: key, Reason: fmt.Sprintf("%q has no address: %v", host, err)}
	}
	return ofFamily(found, c.SIP.Listen[0].Addr.Addr()), nil
}

// ofFamily returns the first address of the family that a listener has (of both at [::]: IPv4, which more phones have),
// or else the first.
func ofFamily(found []netip.Addr, listener netip.Addr) netip.Addr {
	v6 := listener.Is6() && !listener.Is4In6() && !listener.IsUnspecified()
	for _, a := range found {
		if a.Unmap().Is6() == v6 {
			return a.Unmap()
		}
	}
	return found[0].Unmap()
}

// mediaConfig is the configuration as the media take it. Where nothing else is said RTP binds to the first
// listener's address.
func (c Config) mediaConfig() media.Config {
	cfg := media.Config{
		Ports:    media.PortRange{Min: c.Media.RTPPorts.Min, Max: c.Media.RTPPorts.Max},
		BindIP:   c.SIP.Listen[0].Addr.Addr(),
		Latching: media.Latching(c.Media.Latching), LatchingTime: c.Media.LatchingTime,
		Speech: media.SpeechConfig{
			Engine: c.Media.TTS.Engine, Command: c.Media.TTS.Command, URL: c.Media.TTS.URL,
		},
	}
	for _, v := range c.Media.TTS.Voices {
		cfg.Speech.Voices = append(cfg.Speech.Voices, media.Voice{Name: v.Name, Locale: v.Locale, Gender: v.Gender, Engine: v.Voice})
	}
	return cfg
}

// hearingConfig is the configuration as the engine takes it that turns speech into text.
func (c Config) hearingConfig() transcribe.Config {
	return transcribe.Config{Engine: c.Media.STT.Engine, URL: c.Media.STT.URL, Processes: c.Media.STT.Processes}
}

// languageConfig is the configuration as the language takes it.
func (c Config) languageConfig() verbs.Config {
	var cfg verbs.Config
	for _, v := range c.Media.TTS.Voices {
		cfg.Voices = append(cfg.Voices, verbs.Voice{Name: v.Name, Locale: v.Locale, Gender: v.Gender})
	}
	return cfg
}

// recordingStore is the store of recordings; nil: there is none but their folder.
func (c Config) recordingStore(network Network) (*s3.Store, error) {
	r := c.Recordings.S3
	if r.Endpoint == "" {
		return nil, nil
	}
	cfg := s3.Config{
		Endpoint: r.Endpoint, Bucket: r.Bucket, Region: r.Region, AccessKey: r.AccessKey, SecretKey: r.SecretKey, Prefix: r.Prefix,
	}
	if network != nil {
		cfg.DialContext = network.DialContext
	}
	store, err := s3.New(cfg)
	if err != nil {
		return nil, &ConfigError{Key: "recordings.s3.endpoint", Reason: err.Error()}
	}
	return store, nil
}
