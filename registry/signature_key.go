package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	maxPublicKeys = 32
	minRSA        = 2048
	maxRSA        = 8192
)

// PublicKey is a key whose signatures count. [ParsePublicKeys] makes them.
type PublicKey struct {
	key         crypto.PublicKey // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
	fingerprint string           // 64 hexadecimal digits: SHA-256 of the key as PKIX, DER
}

// String is what to tell the key by: sha256: and the first 16 digits that
// "openssl pkey -pubin -outform DER -in cosign.pub | sha256sum" prints.
func (k PublicKey) String() string { return "sha256:" + k.fingerprint[:min(16, len(k.fingerprint))] }

// ParsePublicKeys reads public keys in PEM, one after the other, such as "cosign generate-key-pair" writes to
// cosign.pub: ECDSA on P-256, P-384 or P-521, RSA of 2048 to 8192 bits, or Ed25519, at most 32 of them. Text around
// the keys is skipped. Without any key, or with anything among them that is not one, there is an error, which shows
// nothing of the text.
func ParsePublicKeys(text []byte) ([]PublicKey, error) {
	var keys []PublicKey
	begun := strings.Count("\n"+string(text), "\n-----BEGIN ")
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if len(keys) == maxPublicKeys {
			return nil, fmt.Errorf("reading public keys: there are more than %d", maxPublicKeys)
		}
		key, err := parsePublicKey(block)
		if err != nil {
			return nil, fmt.Errorf("reading public key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	switch {
	case begun == 0:
		return nil, errors.New("reading public keys: there is none; they should be PEM, -----BEGIN PUBLIC KEY-----, as cosign generate-key-pair writes to cosign.pub")
	case len(keys) < begun:
		return nil, fmt.Errorf("reading public keys: %d of %d are not whole PEM blocks", begun-len(keys), begun)
	}
	return keys, nil
}

func parsePublicKey(block *pem.Block) (PublicKey, error) {
	var parsed crypto.PublicKey
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return PublicKey{}, errors.New("it is a private key; give the public one, cosign.pub, and keep the private one to those who sign")
	default:
		return PublicKey{}, errors.New("it is something else; it should begin with -----BEGIN PUBLIC KEY-----")
	}
	if err != nil {
		return PublicKey{}, errors.New("what is inside the PEM block is not a public key")
	}
	if !usable(parsed) {
		return PublicKey{}, fmt.Errorf("it should be ECDSA on P-256, P-384 or P-521, RSA of %d to %d bits, or Ed25519", minRSA, maxRSA)
	}
	der, err := x509.MarshalPKIXPublicKey(parsed)
	if err != nil {
		return PublicKey{}, errors.New("what is inside the PEM block is not a public key")
	}
	sum := sha256.Sum256(der)
	return PublicKey{key: parsed, fingerprint: hex.EncodeToString(sum[:])}, nil
}

func usable(parsed crypto.PublicKey) bool {
	switch key := parsed.(type) {
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return minRSA <= key.N.BitLen() && key.N.BitLen() <= maxRSA
	case ed25519.PublicKey:
		return true
	}
	return false
}

// verifies reports whether signature is the key's over message, in any of the ways in which cosign has signed with
// such a key.
//
// Today's are those of GetDefaultPublicKeyDetails in github.com/sigstore/sigstore, pkg/signature: a hash as long as the
// curve, PKCS #1 v1.5 and Ed25519ph. Before, cosign took SHA-256 for every curve, and plain Ed25519. PSS is what some
// key services sign with.
func (k PublicKey) verifies(message, signature []byte) bool {
	short, long := sha256.Sum256(message), sha512.Sum512(message)
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, short[:], signature) {
			return true
		}
		switch key.Curve {
		case elliptic.P384():
			middle := sha512.Sum384(message)
			return ecdsa.VerifyASN1(key, middle[:], signature)
		case elliptic.P521():
			return ecdsa.VerifyASN1(key, long[:], signature)
		}
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, short[:], signature) == nil ||
			rsa.VerifyPSS(key, crypto.SHA256, short[:], signature, nil) == nil
	case ed25519.PublicKey:
		prehashed := &ed25519.Options{Hash: crypto.SHA512}
		return ed25519.VerifyWithOptions(key, long[:], signature, prehashed) == nil || ed25519.Verify(key, message, signature)
	}
	return false
}
