package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// ConfigSource says where a configuration comes from. What stands further down here wins.
type ConfigSource struct {
	File string   // path of a YAML file; empty: none
	Env  []string // as of [os.Environ]; only what begins with CALLENGINE_ is looked at
	Set  []string // key.path=value
	App  string   // URL of the one application that gets every call, and its status events; empty: those of the file

	// Settings are read in place of the content of File, which then only names where they stand: a section of a larger
	// file, for one. They must be a mapping without aliases.
	Settings *yaml.Node
}

// ConfigError is one reason why a configuration is not taken. [errors.As] finds the first of several.
type ConfigError struct {
	Key    string // "sip.listen", "applications[0].id"; empty when it is about the whole file
	File   string // that said so; empty: no file did
	Line   int    // in File, from 1; 0: not known
	From   string // "CALLENGINE_SIP_LISTEN" or "--set" or "--app", where it was not a file; empty: a file, or a default
	Reason string // holds no secret
}

func (e *ConfigError) Error() string {
	var b strings.Builder
	switch {
	case e.File != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	case e.File != "":
		fmt.Fprintf(&b, "%s: ", e.File)
	case e.From != "":
		fmt.Fprintf(&b, "%s: ", e.From)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "%s: ", e.Key)
	}
	return b.String() + e.Reason
}

// origin is where a value was set.
type origin struct {
	file string
	line int
	from string
}

// origins knows where each key was set; one that is not in it has its default.
type origins map[string]origin

// of returns where a key was set, or the list or section that it lies in.
func (o origins) of(key string) origin {
	for {
		if at, ok := o[key]; ok || key == "" {
			return at
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
}

// maxConfigSize bounds what is read of a file.
const maxConfigSize = 1 << 20

const envPrefix = "CALLENGINE_"

// LoadConfig reads a configuration and checks it whole. Warnings are about what works, but perhaps not as it is meant.
// An error is one [*ConfigError], or several joined, in the order of the sources and of the file.
func LoadConfig(src ConfigSource) (cfg Config, warnings []string, err error) {
	var content []byte
	if src.File != "" && src.Settings == nil {
		if content, err = readConfig(src.File); err != nil {
			return DefaultConfig(), nil, err
		}
	}
	return loadConfig(content, src)
}

// Locate returns err with what src can tell of it: where the key was set, if err is a [*ConfigError] that does not say so.
// [New] and [Node.Start] return such errors: they look at what the configuration only names.
func (src ConfigSource) Locate(err error) error {
	wrong := (*ConfigError)(nil)
	if !errors.As(err, &wrong) || wrong.File != "" || wrong.From != "" {
		return err
	}
	var content []byte
	if src.File != "" && src.Settings == nil {
		var unread error
		if content, unread = readConfig(src.File); unread != nil {
			return err
		}
	}
	at := readSources(content, src).origin.of(wrong.Key)
	return &ConfigError{Key: wrong.Key, File: at.file, Line: at.line, From: at.from, Reason: wrong.Reason}
}

func readConfig(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &ConfigError{File: name, Reason: errors.Unwrap(err).Error()}
	}
	content, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, &ConfigError{File: name, Reason: err.Error()}
	}
	if len(content) > maxConfigSize {
		return nil, &ConfigError{File: name, Reason: fmt.Sprintf("is larger than %d bytes", maxConfigSize)}
	}
	return content, nil
}

// loadConfig is LoadConfig with the content of the file at hand.
func loadConfig(content []byte, src ConfigSource) (Config, []string, error) {
	l := readSources(content, src)
	c := checker{cfg: &l.cfg, origin: l.origin, errs: l.errs, file: src.File != ""}
	c.check()
	errs := c.errs
	slices.SortStableFunc(errs, func(a, b *ConfigError) int { return a.Line - b.Line }) // those of no file first
	joined := make([]error, len(errs))
	for i, e := range errs {
		joined[i] = e
	}
	return l.cfg, append(l.warnings, c.warnings...), errors.Join(joined...)
}

// readSources lays the sources over each other.
func readSources(content []byte, src ConfigSource) *loader {
	l := &loader{cfg: DefaultConfig(), origin: origins{}}
	if src.Settings == nil {
		l.file(src.File, content)
	} else {
		l.section(src.File, src.Settings)
	}
	l.environment(src.Env)
	l.flags(src.Set)
	l.app(src.App)
	l.derive()
	return l
}

// loader lays one source over the other.
type loader struct {
	cfg      Config
	origin   origins
	warnings []string
	errs     []*ConfigError
}

// yamlLine finds the line in a message of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (l *loader) file(name string, content []byte) {
	d := yaml.NewDecoder(bytes.NewReader(content))
	var document, further yaml.Node
	err := d.Decode(&document)
	if errors.Is(err, io.EOF) {
		return // nothing but comments
	}
	if err == nil {
		if err = d.Decode(&further); err == nil {
			l.errs = append(l.errs, &ConfigError{File: name, Line: further.Line, Reason: "a second document; there may be only one"})
			return
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		found := yamlLine.FindStringSubmatch(err.Error())
		e := &ConfigError{File: name, Reason: "is not YAML: " + err.Error()}
		if found != nil {
			e.Line, _ = strconv.Atoi(found[1])
			e.Reason = "is not YAML: " + strings.TrimPrefix(err.Error(), found[0])
		}
		if strings.HasSuffix(e.Reason, "cannot start any token") {
			e.Reason += "; lines are indented by spaces, not tabs"
		}
		l.errs = append(l.errs, e)
		return
	}
	if len(document.Content) == 0 {
		return
	}
	l.section(name, document.Content[0])
}

func (l *loader) section(name string, n *yaml.Node) {
	dec := decoder{file: name, origin: l.origin}
	dec.section(n, configValue(&l.cfg), "")
	l.errs = append(l.errs, dec.errs...)
}

// environment reads the variables in the order of their names. One that means nothing is a warning: orchestrators make
// such, as CALLENGINE_PORT of a service that is called callengine.
func (l *loader) environment(env []string) {
	variables := map[string]leaf{}
	var names []string
	for _, leaf := range leavesOf(&l.cfg) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(leaf.path, ".", "_"))
		variables[name] = leaf
		names = append(names, name)
	}
	env = slices.Sorted(slices.Values(env))
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		leaf, known := variables[name]
		if list, ok := insideList(name, variables); ok {
			leaf, known = list, true
		}
		if !known {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: unknown variable, ignored%s", name, didYouMean(name, names)))
			continue
		}
		l.set(leaf, value, name)
	}
}

// insideList finds the list of sections that a variable such as CALLENGINE_SIP_USERS_0_PASSWORD tries to reach into.
func insideList(name string, variables map[string]leaf) (leaf, bool) {
	for list, l := range variables {
		rest, inside := strings.CutPrefix(name, list+"_")
		if l.objects && inside && rest != "" && (rest[0] >= '0' && rest[0] <= '9') {
			return l, true
		}
	}
	return leaf{}, false
}

func (l *loader) flags(set []string) {
	leaves := leavesOf(&l.cfg)
	for _, s := range set {
		key, value, found := strings.Cut(s, "=")
		i := slices.IndexFunc(leaves, func(l leaf) bool { return l.path == key })
		switch {
		case !found:
			l.errs = append(l.errs, &ConfigError{Key: key, From: "--set", Reason: "must be KEY=VALUE"})
		case i < 0:
			reason := "unknown key" + didYouMean(key, paths(leaves))
			for _, leaf := range leaves {
				switch {
				case strings.HasPrefix(key, leaf.path+"[") && leaf.objects:
					reason = onlyByFile
				case strings.HasPrefix(leaf.path, key+"."):
					reason = "is a section; set one of its keys"
				}
			}
			l.errs = append(l.errs, &ConfigError{Key: key, From: "--set", Reason: reason})
		default:
			l.set(leaves[i], value, "--set")
		}
	}
}

const onlyByFile = "a list of objects can be set by the configuration file alone"

func (l *loader) set(leaf leaf, value, from string) {
	l.comesFrom(leaf.path, from)
	err := errors.New(onlyByFile)
	if !leaf.objects {
		err = leaf.set(value)
	}
	if err != nil {
		l.errs = append(l.errs, &ConfigError{Key: leaf.path, From: from, Reason: err.Error()})
	}
}

// comesFrom notes that a key has been set anew; a list with all that was in it.
func (l *loader) comesFrom(key, from string) {
	for old := range l.origin {
		if strings.HasPrefix(old, key+"[") {
			delete(l.origin, old)
		}
	}
	l.origin[key] = origin{from: from}
}

// app gives every call to one application.
func (l *loader) app(url string) {
	const from = "--app"
	switch {
	case url == "":
		return
	case !isWebURL(url):
		l.errs = append(l.errs, &ConfigError{From: from, Reason: notWebURL})
		return
	}
	app := defaultApplication(1)
	app.CallInitiatedCallbackURL, app.CallStatusCallbackURL = url, url
	l.cfg.Applications = []Application{app}
	l.comesFrom("applications", from)
}

// derive fills in what follows from other keys where nothing is said.
func (l *loader) derive() {
	if _, set := l.origin["api.public_url"]; set {
		return
	}
	l.cfg.API.PublicURL = ""
	host, port, err := net.SplitHostPort(l.cfg.API.Listen)
	if n, bad := parsePort(port, 0); err != nil || bad != nil || n == 0 {
		return // the check of api.listen tells, or the node knows when it listens
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	l.cfg.API.PublicURL = "http://" + net.JoinHostPort(host, port)
}

// didYouMean is the tail of a message about a name that is not known; empty when none is near.
func didYouMean(name string, known []string) string {
	best, least := "", 1+min(3, len(name)/3)
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best
}
