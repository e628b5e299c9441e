package sipstack

import (
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Invitation is what an initial INVITE says. It does not change.
type Invitation struct {
	SIPCallID  string
	From, To   string // the From URI and the Request-URI without parameters, the port kept; of a telephone call their user parts
	RequestURI string // as it came

	User     string // the Request-URI's user part without parameters; "": it has none
	UserHost string // user@host, or the host alone; without a port

	Source netip.AddrPort // where the INVITE came from
	Trunk  bool           // it came from one of Config.PSTNTrunks: a telephone call

	UUI        string            // the User-To-User values with their parameters, comma-separated, at most 256 characters
	XHeaders   map[string]string // the X-* headers, names in lower case, the last of each; nil for a telephone call
	Diversion  map[string]string // the newest Diversion: origTo and its parameters; nil: none
	StirShaken map[string]string // what a PSTN trunk says of the number's verification; nil: nothing, or not a trunk, which could say anything

	Time time.Time // when it arrived
}

// maxUUI is how much User-To-User data is passed on.
const maxUUI = 256

func readInvitation(req *sip.Request, trunks acl) Invitation {
	source, _ := netip.ParseAddrPort(req.Source()) // always set by the transport
	uri := req.Recipient
	inv := Invitation{
		SIPCallID: req.CallID().Value(), RequestURI: uri.String(),
		From: bare(req.From().Address), To: bare(uri),
		User: userPart(uri), UserHost: strings.Trim(uri.Host, "[]"),
		Source: unmapped(source), Time: time.Now(),
		UUI: readUUI(req),
	}
	if inv.User != "" {
		inv.UserHost = inv.User + "@" + inv.UserHost
	}
	inv.Trunk = trunks.contains(inv.Source.Addr())
	inv.Diversion = readDiversion(req, inv.Trunk)
	if inv.Trunk {
		inv.StirShaken = readStirShaken(req)
		inv.From, inv.To = orElse(userPart(req.From().Address), inv.From), orElse(inv.User, inv.To)
		return inv
	}
	for _, h := range req.Headers() {
		if name := h.Name(); strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "X-") {
			if inv.XHeaders == nil {
				inv.XHeaders = map[string]string{}
			}
			inv.XHeaders[strings.ToLower(name)] = h.Value()
		}
	}
	return inv
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// readUUI returns the values of User-To-User (RFC 7433), as many as fit whole.
func readUUI(req *sip.Request) string {
	var uui string
	for field := range headerValues(req, "User-To-User") {
		for _, value := range splitQuoted(field, ',') {
			value = strings.TrimSpace(value)
			switch {
			case value == "" || len(uui)+1+len(value) > maxUUI:
			case uui == "":
				uui = value
			default:
				uui += "," + value
			}
		}
	}
	return uui
}

// readDiversion reads the topmost Diversion, which is the newest (RFC 5806 section 4). A telephone number is told without
// the URI around it.
func readDiversion(req *sip.Request, trunk bool) map[string]string {
	value, ok := headerValue(req, "Diversion")
	if !ok {
		return nil
	}
	var uri sip.Uri
	var params sip.HeaderParams
	if _, err := sip.ParseAddressValue(splitQuoted(value, ',')[0], &uri, &params); err != nil {
		return nil
	}
	d := map[string]string{}
	for _, p := range params {
		d[strings.ToLower(strings.TrimSpace(p.K))] = unquote(strings.TrimSpace(p.V))
	}
	d["origTo"] = bare(uri)
	if user := userPart(uri); user != "" && (trunk || uri.Raw() != "" || telephone(uri, user)) {
		d["origTo"] = user
	}
	return d
}

// telephone reports whether the user part of a SIP URI is a telephone number (RFC 3261 section 19.1.6).
func telephone(uri sip.Uri, user string) bool {
	kind, _ := param(uri.UriParams, "user")
	return strings.EqualFold(kind, "phone") || strings.HasPrefix(user, "+")
}

// readStirShaken reads what a verification service before us has found out (3GPP TS 24.229 sections 7.2A.20 and 7.2.19,
// and the names that carriers used before these). It is passed on as it was said: the tokens of RFC 8225 themselves are
// not verified here.
func readStirShaken(req *sip.Request) map[string]string {
	found := map[string]string{}
	for _, name := range []string{"P-Asserted-Identity", "From", "f"} {
		if found["verstat"] != "" {
			break
		}
		for value := range headerValues(req, name) {
			if v, ok := verstat(value); ok {
				found["verstat"] = v
				break
			}
		}
	}
	for key, names := range map[string][]string{
		"verstat":              {"P-Verstat", "X-Verstat"},
		"attestationIndicator": {"Attestation-Info", "P-Attestation-Indicator"},
		"originatingId":        {"Origination-Id", "P-Origination-ID"},
	} {
		if v, ok := headerValue(req, names...); ok && v != "" && found[key] == "" {
			found[key] = unquote(v)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

// verstat finds the parameter of that name, which stands in the user part of a SIP URI or among the parameters of a
// tel: URI.
func verstat(value string) (string, bool) {
	const name = ";verstat="
	i := strings.Index(strings.ToLower(value), name)
	if i < 0 {
		return "", false
	}
	value = value[i+len(name):]
	if end := strings.IndexAny(value, ";@>,? "); end >= 0 {
		value = value[:end]
	}
	return value, value != ""
}
