package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tlsFiles are the files that a host is trusted by, and that it trusts.
type tlsFiles struct {
	authorities []string    // PEM, one or more certificates each
	clients     [][2]string // certificate and key; the key's is empty where one file holds both
}

// tlsFiles are those that a hosts.toml in dir names for a host.
func (f hostFields) tlsFiles(dir string) (tlsFiles, error) {
	var files tlsFiles
	absolute := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	if f.CA != nil {
		names, ok := texts(f.CA)
		if !ok {
			return files, errors.New("ca must be a path or a list of paths")
		}
		for _, name := range names {
			files.authorities = append(files.authorities, absolute(name))
		}
	}
	if f.Client == nil {
		return files, nil
	}
	list, ok := f.Client.([]any)
	if !ok {
		list = []any{f.Client}
	}
	for _, item := range list {
		names, ok := texts(item)
		_, alone := item.(string)
		if !ok || !alone && len(names) != 2 {
			return files, errors.New("client must be a path, a list of paths, or a list of pairs: a certificate's path and its key's")
		}
		pair := [2]string{absolute(names[0])}
		if !alone {
			pair[1] = absolute(names[1])
		}
		files.clients = append(files.clients, pair)
	}
	return files, nil
}

// dockerFiles finds what lies in a directory without a hosts.toml: *.crt for authorities, *.cert with *.key of the same
// name for the client, as in Docker's certs.d.
func dockerFiles(dir string) (tlsFiles, error) {
	var files tlsFiles
	entries, err := os.ReadDir(dir)
	if err != nil {
		return files, err
	}
	there := map[string]bool{}
	for _, entry := range entries {
		there[entry.Name()] = !entry.IsDir()
	}
	for _, entry := range entries {
		name := entry.Name()
		if !there[name] {
			continue
		}
		if strings.HasSuffix(name, ".crt") {
			files.authorities = append(files.authorities, filepath.Join(dir, name))
		}
		if certificate, ok := strings.CutSuffix(name, ".cert"); ok {
			pair := [2]string{filepath.Join(dir, name)}
			if key := certificate + ".key"; there[key] {
				pair[1] = filepath.Join(dir, key)
			}
			files.clients = append(files.clients, pair)
		}
	}
	return files, nil
}

// pool holds the authorities and those of the system: what is declared is trusted as well, not instead. It is nil, which
// stands for the system's, if none is declared.
func (f tlsFiles) pool(read func(string) ([]byte, error)) (*x509.CertPool, error) {
	if len(f.authorities) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without a system has no authorities of the system
	}
	for _, name := range f.authorities {
		text, err := read(name)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: this holds no certificate in PEM", name)
		}
	}
	return pool, nil
}

func (f tlsFiles) certificates(read func(string) ([]byte, error)) ([]tls.Certificate, error) {
	var list []tls.Certificate
	for _, pair := range f.clients {
		certificate, err := read(pair[0])
		if err != nil {
			return nil, err
		}
		key, keyFile := certificate, pair[0]
		if pair[1] != "" {
			keyFile = pair[1]
			if key, err = read(keyFile); err != nil {
				return nil, err
			}
		}
		client, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("%s: this is not a client certificate with its key, in PEM, in %s", pair[0], keyFile)
		}
		list = append(list, client)
	}
	return list, nil
}

// endpoint has what the files hold.
func (f tlsFiles) endpoint(seen *looks) (Endpoint, error) {
	pool, err := f.pool(seen.read)
	if err != nil {
		return Endpoint{}, err
	}
	certificates, err := f.certificates(seen.read)
	if err != nil {
		return Endpoint{}, err
	}
	return Endpoint{RootCAs: pool, Certificates: certificates}, nil
}

// endpoint is one without its URL.
func (f hostFields) endpoint(dir string, seen *looks) (Endpoint, error) {
	files, err := f.tlsFiles(dir)
	if err != nil {
		return Endpoint{}, err
	}
	endpoint, err := files.endpoint(seen)
	if err != nil {
		return Endpoint{}, err
	}
	endpoint.SkipVerify = f.SkipVerify != nil && *f.SkipVerify
	endpoint.Header, err = f.headers()
	return endpoint, err
}
