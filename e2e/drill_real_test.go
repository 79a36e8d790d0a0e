package e2e

// realSicknesses are those of containers that run, or should. Their flags are those of testdata/drill/app.
var realSicknesses = []sickness{
	{
		name: "crash-at-start", reason: "CrashLoopBackOff", message: "pod web-.*, container web: exit code 3",
		change: container("args: [-exit=3]"),
	},
	{
		name: "config-map-key-missing", reason: "CreateContainerConfigError", message: "greeting",
		change: "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {greeting: null, welcome: hello}}",
	},
	{
		name: "layer-missing", reason: "ImagePullBackOff", message: "pod web-.*, container web: .*drill",
		change: container("image: $REGISTRY/drill:hollow"),
	},
}
