package manifests

import "strings"

// MatchesAny tells whether an image matches one of the patterns, in which a * stands for any text, slashes too:
// "registry.local/*". It counts as it is written and with what Docker adds to it: nginx:1.25 is matched by "nginx:*",
// by "docker.io/*" and by "docker.io/library/nginx:1.25".
func MatchesAny(image string, patterns []string) bool {
	full := withHost(image)
	for _, pattern := range patterns {
		if matches(image, pattern) || matches(full, pattern) {
			return true
		}
	}
	return false
}

// withHost is an image with the host that it is taken from where it names none.
func withHost(image string) string {
	host, rest, hasHost := strings.Cut(image, "/")
	if !hasHost || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, rest = "docker.io", image
	}
	if host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return host + "/" + rest
}

// matches takes the text between two stars at the first place where it stands.
func matches(text, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return text == pattern
	}
	first, between, last := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	rest, begins := strings.CutPrefix(text, first)
	if !begins {
		return false
	}
	for _, part := range between {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}
