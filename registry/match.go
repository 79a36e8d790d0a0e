package registry

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
)

// pattern says which repositories credentials are for, by the kubelet's rules (k8s.io/kubernetes
// pkg/credentialprovider/keyring.go): a * stands for anything within one label of the host, a port must be the very
// same, and a path is the beginning of the repository's.
type pattern struct {
	labels []string // of the host, each a glob of [path.Match]
	port   string
	path   string // "" or with a leading slash
	exact  bool   // no label is a glob
}

// parsePattern reads the key of an entry: a host, with or without scheme and the API's version, and the beginning of a
// path. The kubelet passes over what it cannot read, and so do we.
func parsePattern(place string) (pattern, bool) {
	if !strings.HasPrefix(place, "https://") && !strings.HasPrefix(place, "http://") {
		place = "https://" + place
	}
	u, err := url.Parse(place)
	if err != nil || u.Host == "" {
		return pattern{}, false
	}
	prefix := u.Path
	if strings.HasPrefix(prefix, "/v1/") || strings.HasPrefix(prefix, "/v2/") {
		prefix = prefix[len("/v1"):]
	}
	if prefix == "/" {
		prefix = ""
	}
	labels, port := splitHost(dockerHub(u.Host))
	for _, label := range labels {
		if _, err := path.Match(label, ""); err != nil {
			return pattern{}, false
		}
	}
	exact := !strings.ContainsAny(u.Host, `*?[\`) || net.ParseIP(u.Hostname()) != nil
	return pattern{labels, port, prefix, exact}, true
}

func (p pattern) matches(host, repository string) bool {
	labels, port := splitHost(dockerHub(host))
	if port != p.port || len(labels) != len(p.labels) || !strings.HasPrefix("/"+repository, p.path) {
		return false
	}
	for i, label := range labels {
		if p.exact && p.labels[i] == label {
			continue
		}
		if matched, err := path.Match(p.labels[i], label); p.exact || err != nil || !matched {
			return false
		}
	}
	return true
}

// compare puts an exact host first, then the longest path.
func (p pattern) compare(other pattern) int {
	if p.exact != other.exact {
		if p.exact {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(len(other.path), len(p.path)), cmp.Compare(strings.Join(other.labels, "."), strings.Join(p.labels, ".")))
}

// splitHost returns the labels of an authority's host, or its address as a single one, and its port.
func splitHost(authority string) (labels []string, port string) {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		host, port = strings.Trim(authority, "[]"), ""
	}
	if net.ParseIP(host) != nil {
		return []string{host}, port
	}
	return strings.Split(strings.ToLower(host), "."), port
}

// dockerHub gives Docker Hub one name.
func dockerHub(authority string) string {
	switch strings.ToLower(authority) {
	case "index.docker.io", "registry-1.docker.io":
		return "docker.io"
	}
	return authority
}

// Matcher reads a pattern as the kubelet has it in matchImages: a host, with globs in its labels, and the beginning of a
// path, such as "*.dkr.ecr.*.amazonaws.com". It returns what tells whether a repository fits, which is written in full:
// "docker.io/library/nginx".
func Matcher(text string) (func(repository string) bool, error) {
	p, ok := parsePattern(text)
	if !ok || strings.Contains(text, "://") {
		return nil, fmt.Errorf("%q should be host[:port][/path], where a * stands for anything within one label of the host", text)
	}
	return func(repository string) bool {
		host, path, _ := strings.Cut(repository, "/")
		return p.matches(host, path)
	}, nil
}
