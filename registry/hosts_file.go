package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// hostsFile is a hosts.toml as it is written; hostFields may stand at its root, where they are the server's, and in
// each [host."URL"] table. Fields that are not here have no meaning for an agent that only asks (dial_timeout), or are
// not known to containerd either, which passes over them as well.
// See https://github.com/containerd/containerd/blob/main/docs/hosts.md
type hostsFile struct {
	hostFields
	Server string                `toml:"server"`
	Hosts  map[string]hostFields `toml:"host"`

	order []string // the keys of Hosts as they stand in the file
}

type hostFields struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`     // path or list of paths
	Client       any            `toml:"client"` // path, list of paths, or list of pairs of paths
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"` // values, or lists of values
	OverridePath bool           `toml:"override_path"`
}

// parseHostsFile reads a hosts.toml. What the parser says is not passed on, since a header can be a secret.
func parseHostsFile(text []byte) (hostsFile, error) {
	var file hostsFile
	if err := toml.Unmarshal(text, &file); err != nil {
		where := ""
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := at.Position()
			where = fmt.Sprintf(" at line %d, column %d", line, column)
		}
		return hostsFile{}, fmt.Errorf("this is not TOML, or a field has another type than containerd's docs/hosts.md says%s", where)
	}
	file.order = tableOrder(text)
	for name := range file.Hosts {
		if !slices.Contains(file.order, name) {
			return hostsFile{}, fmt.Errorf("host %q must be a table of its own, or it has no place in the order; write [host.%q]", name, name)
		}
	}
	return file, nil
}

// tableOrder lists the hosts as their tables come, each once. Decoded tables have no order, but mirrors do.
func tableOrder(text []byte) []string {
	var order []string
	var parser unstable.Parser
	parser.Reset(text)
	for parser.NextExpression() {
		expression := parser.Expression()
		if expression.Kind != unstable.Table {
			continue
		}
		var key []string
		for part := expression.Key(); part.Next(); {
			key = append(key, string(part.Node().Data))
		}
		if len(key) >= 2 && key[0] == "host" && !slices.Contains(order, key[1]) {
			order = append(order, key[1])
		}
	}
	return order
}

// resolves tells whether a host may be asked what a tag stands for. Without capabilities it may do anything.
func (f hostFields) resolves() (bool, error) {
	all := []string{"pull", "resolve", "push", "referrers"}
	for _, capability := range f.Capabilities {
		if !slices.Contains(all, strings.ToLower(capability)) {
			return false, fmt.Errorf("the capability %q is unknown; write some of %s", capability, strings.Join(all, ", "))
		}
	}
	return len(f.Capabilities) == 0 || slices.ContainsFunc(f.Capabilities, func(capability string) bool {
		return strings.EqualFold(capability, "resolve")
	}), nil
}

// apiURL says where the API of a host is that is written as name: a URL, or a bare host, which is asked over HTTPS.
func (f hostFields) apiURL(name string) (*url.URL, error) {
	written := name
	if !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://") {
		written = "https://" + name
	}
	api, err := url.Parse(written)
	switch {
	case err != nil || api.Host == "":
		return nil, errors.New("a host is not a URL; write it as https://host[:port][/path]")
	case api.User != nil || api.RawQuery != "" || api.Fragment != "":
		return nil, fmt.Errorf("the URL of %s must have a host and a path alone; write it as https://host[:port][/path]", api.Host)
	}
	api.Path = strings.TrimSuffix(path.Clean("/"+api.Path), "/")
	if !f.OverridePath && !strings.HasSuffix(api.Path, "/v2") {
		api.Path += "/v2"
	}
	api.RawPath = ""
	if api.Host == "docker.io" {
		api.Host = "registry-1.docker.io" // no registry answers at docker.io itself
	}
	return api, nil
}

// headers are what is sent with each request to a host.
func (f hostFields) headers() (http.Header, error) {
	header := http.Header{}
	for name, value := range f.Header {
		values, ok := texts(value)
		if !ok {
			return nil, fmt.Errorf("the header %s must be a string or a list of strings", name)
		}
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header, nil
}

// texts reads what may be a string or a list of strings.
func texts(value any) ([]string, bool) {
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		list := make([]string, len(value))
		for i, item := range value {
			text, ok := item.(string)
			if !ok {
				return nil, false
			}
			list[i] = text
		}
		return list, true
	}
	return nil, false
}
