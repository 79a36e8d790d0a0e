package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certLife outlasts any test, and any demo that was left running.
const certLife = 30 * 24 * time.Hour

// authority is a cluster's own certificate authority. It keeps its files in one folder.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	keyPair
}

// keyPair is where a certificate and its private key are, both PEM.
type keyPair struct{ certFile, keyFile string }

func newAuthority(dir string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making certificate folder: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making authority's key: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "belay-cluster"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(certLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	a := &authority{dir: dir, cert: cert, key: key}
	a.keyPair, err = a.sign("ca", cert, key)
	return a, err
}

// server issues a certificate for a server that answers at the hosts, which are names or addresses.
func (a *authority) server(name string, hosts ...string) (keyPair, error) {
	cert := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, host)
		}
	}
	return a.issue(name, cert)
}

// client issues a certificate for a user, whom the API server knows by the common name and the organizations
// as name and groups.
func (a *authority) client(file, user string, groups ...string) (keyPair, error) {
	return a.issue(file, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// signingKey makes the key pair that service account tokens are signed with. Its certFile holds the bare
// public key.
func (a *authority) signingKey(name string) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("making key %s: %w", name, err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return keyPair{}, fmt.Errorf("making key %s: %w", name, err)
	}
	return a.write(name, pem.Block{Type: "PUBLIC KEY", Bytes: public}, key)
}

func (a *authority) issue(name string, cert *x509.Certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("making key %s: %w", name, err)
	}
	cert.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return keyPair{}, fmt.Errorf("making certificate %s: %w", name, err)
	}
	cert.NotBefore, cert.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	return a.sign(name, cert, key)
}

func (a *authority) sign(name string, cert *x509.Certificate, key *ecdsa.PrivateKey) (keyPair, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("signing certificate %s: %w", name, err)
	}
	return a.write(name, pem.Block{Type: "CERTIFICATE", Bytes: der}, key)
}

func (a *authority) write(name string, public pem.Block, key crypto.PrivateKey) (keyPair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return keyPair{}, fmt.Errorf("writing key %s: %w", name, err)
	}
	pair := keyPair{certFile: filepath.Join(a.dir, name+".crt"), keyFile: filepath.Join(a.dir, name+".key")}
	private := pem.Block{Type: "PRIVATE KEY", Bytes: der}
	for path, block := range map[string]pem.Block{pair.certFile: public, pair.keyFile: private} {
		if err := os.WriteFile(path, pem.EncodeToMemory(&block), 0o600); err != nil {
			return keyPair{}, fmt.Errorf("writing key pair %s: %w", name, err)
		}
	}
	return pair, nil
}
