package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Hosts reads the directory in which containerd is told where registries really are, often /etc/containerd/certs.d, so
// that the agent asks the same mirrors as the nodes. The function it returns gives the endpoints of a registry's host, in
// the order in which they are to be tried:
//
//   - those of dir/HOST/hosts.toml that may resolve tags, in the order of the file, then its server. The directory of
//     Docker Hub is docker.io; that of a host with a port is HOST_PORT_ or HOST:PORT; and dir/_default is for all hosts
//     that have none of their own.
//   - without a hosts.toml, the registry itself, with the authorities (*.crt) and client certificates (*.cert, *.key) of
//     the directory, as Docker has them.
//   - none if nothing is declared.
//
// Who declares a host there vouches for it, so it may have any address. Nobody does so for the registry that comes last
// where no server is written: that is an Endpoint without a URL, which stands for the registry itself under the ordinary
// rules. If it has authorities or certificates, from the root of _default/hosts.toml, they count for it.
//
// The files are read when they are asked for, and again when they have changed. The error names the file and what would be
// right in it; the image is not to be asked for elsewhere then. Unlike containerd, which passes over a hosts.toml that it
// cannot read, Hosts does not take the registry itself in place of a mirror. An empty dir declares nothing.
//
// The rules are those of https://github.com/containerd/containerd/blob/main/docs/hosts.md
func Hosts(dir string) func(host string) ([]Endpoint, error) {
	if dir == "" {
		return func(string) ([]Endpoint, error) { return nil, nil }
	}
	certs := &certsDir{root: dir, read: make(map[string]hostsDir)}
	return certs.endpoints
}

// certsDir remembers what its directories say. It has as many entries as the operator has made directories, however many
// hosts are asked for.
type certsDir struct {
	root string
	mu   sync.Mutex
	read map[string]hostsDir
}

func (c *certsDir) endpoints(host string) ([]Endpoint, error) {
	host = strings.ToLower(host)
	if host == "index.docker.io" {
		host = "docker.io"
	}
	if !validHost.MatchString(host) {
		return nil, errors.New("this is not the host of a registry; write host[:port]")
	}
	dir, err := c.find(host)
	if dir == "" || err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	said, known := c.read[dir]
	if !known || !said.seen.same() {
		delete(c.read, dir)
		if said, err = readHostsDir(dir); err != nil {
			return nil, err
		}
		c.read[dir] = said
	}
	return said.endpoints(host)
}

// find returns the directory that speaks of host, or nothing. No host can be called _default or HOST_PORT_.
func (c *certsDir) find(host string) (string, error) {
	names := []string{host, "_default"}
	if colon := strings.LastIndex(host, ":"); colon > 0 {
		names = slices.Insert(names, 0, host[:colon]+"_"+host[colon+1:]+"_")
	}
	for _, name := range names {
		dir := filepath.Join(c.root, name)
		switch info, err := stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", unreadable(err)
		case !info.IsDir():
			return "", fmt.Errorf("%s: this must be a directory, with a hosts.toml in it", dir)
		default:
			return dir, nil
		}
	}
	if _, err := os.Stat(c.root); err != nil {
		return "", unreadable(err)
	}
	return "", nil
}

// hostsDir is what one directory says.
type hostsDir struct {
	path     string
	declared []Endpoint // those that may resolve, in order, the server among them if it is written
	server   bool       // it is written
	itself   Endpoint   // what is said of a server that is not written
	seen     looks
}

// endpoints are those of one host. The directory may be that of all hosts, _default, which vouches for none.
func (d hostsDir) endpoints(host string) ([]Endpoint, error) {
	list := slices.Clone(d.declared)
	special := !plain(d.itself)
	own := filepath.Base(d.path) != "_default"
	switch {
	case d.server && len(list) == 0:
		return nil, fmt.Errorf(`%s: no host may resolve tags; add "resolve" to the capabilities of one that is trusted to`, d.file())
	case d.server:
	case !own && len(d.itself.Header) > 0:
		return nil, fmt.Errorf("%s: a header without a server would be sent to any host that an image names; write the server", d.file())
	case special && own:
		itself := d.itself
		itself.URL = &url.URL{Scheme: "https", Host: registryHost(host), Path: "/v2"}
		list = append(list, itself)
	case special || len(list) > 0:
		list = append(list, d.itself)
	}
	for i, endpoint := range list {
		list[i].Mirror = endpoint.URL != nil && canonical(endpoint.URL.Host) != canonical(registryHost(host))
	}
	return list, nil
}

// registryHost is where the registry of that host is.
func registryHost(host string) string {
	if host == "docker.io" {
		return "registry-1.docker.io"
	}
	return host
}

func (d hostsDir) file() string { return filepath.Join(d.path, "hosts.toml") }

func readHostsDir(dir string) (hostsDir, error) {
	d := hostsDir{path: dir}
	d.seen.at(dir)
	text, err := d.seen.read(d.file())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hostsDir{}, err
	}
	if len(text) == 0 {
		files, err := dockerFiles(dir)
		if err != nil {
			return hostsDir{}, unreadable(err)
		}
		d.itself, err = files.endpoint(&d.seen)
		return d, err
	}
	file, err := parseHostsFile(text)
	if err == nil {
		err = d.declare(file)
	}
	if err != nil {
		return hostsDir{}, fmt.Errorf("%s: %w", d.file(), err)
	}
	return d, nil
}

func (d *hostsDir) declare(file hostsFile) error {
	for _, name := range file.order {
		if err := d.add(name, file.Hosts[name]); err != nil {
			return err
		}
	}
	if file.Server != "" {
		d.server = true
		return d.add(file.Server, file.hostFields)
	}
	if _, err := file.resolves(); err != nil {
		return err
	}
	var err error
	d.itself, err = file.endpoint(d.path, &d.seen)
	return err
}

// add declares a host that may resolve tags, and passes over one that may not.
func (d *hostsDir) add(name string, fields hostFields) error {
	resolves, err := fields.resolves()
	if err != nil || !resolves {
		return err
	}
	api, err := fields.apiURL(name)
	if err != nil {
		return err
	}
	endpoint, err := fields.endpoint(d.path, &d.seen)
	if err != nil {
		return err
	}
	endpoint.URL = api
	secured := fields.CA != nil || fields.Client != nil || fields.SkipVerify != nil
	if api.Scheme == "http" && secured && api.Port() != "80" {
		// What is said of TLS has no use over plain HTTP: containerd tries HTTPS first then.
		secure := *api
		secure.Scheme = "https"
		endpoint.URL = &secure
		d.declared = append(d.declared, endpoint)
		endpoint = Endpoint{URL: api, Header: endpoint.Header}
	}
	if again := slices.ContainsFunc(d.declared, func(e Endpoint) bool {
		return *e.URL == *api && plain(e) && plain(endpoint)
	}); !again { // the server is often also the first host, and need not be asked twice
		d.declared = append(d.declared, endpoint)
	}
	return nil
}

// plain tells whether nothing is said of an endpoint but its URL.
func plain(e Endpoint) bool {
	return e.RootCAs == nil && e.Certificates == nil && !e.SkipVerify && len(e.Header) == 0
}
