package registry

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// checkPlatforms is satisfied by any one of the platforms: which nodes of a mixed
// cluster a pod may run on is not known here.
func checkPlatforms(index v1.IndexManifest, want []v1.Platform) error {
	if len(want) == 0 {
		return nil
	}
	var have []string
	for _, m := range index.Manifests {
		if m.Platform == nil || m.Platform.OS == "unknown" {
			continue // an attestation
		}
		platform := normalized(*m.Platform)
		if slices.ContainsFunc(want, platform.Satisfies) {
			return nil
		}
		have = append(have, platformName(platform))
	}
	slices.Sort(have)
	var names []string
	for _, platform := range want {
		names = append(names, platform.String())
	}
	return &Error{
		Reason: PlatformMissing,
		Detail: fmt.Sprintf("the nodes are %s, and the image is for %s", list(names), list(slices.Compact(have))),
	}
}

func parsePlatforms(names []string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for _, name := range names {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS == "" || platform.Architecture == "" {
			return nil, fmt.Errorf("parsing platform %q: it should be like linux/amd64", name)
		}
		platforms = append(platforms, normalized(*platform))
	}
	return platforms, nil
}

// normalized drops the variant of arm64, which some builders write and some do
// not: there is only v8.
func normalized(p v1.Platform) v1.Platform {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	return p
}

// platformName is a platform fit to be shown: the registry chose its letters.
func platformName(p v1.Platform) string {
	plain := v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
	if name := plain.String(); len(name) <= 32 && validPath.MatchString(name) {
		return name
	}
	return "another"
}

// list joins names, at most ten of them.
func list(names []string) string {
	const most = 10
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
