#!/bin/sh
kubectl get componentz # !command-finds-nothing
kubectl -n istio-system get pods -l app=sidecarInjectorWebhook # !command-finds-nothing
kubectl debug node/ip-10-0-0-1 -it --image=curlimages/curl -- curl https://istiod.istio-system.svc:15017 # !command-finds-nothing
istioctl install --set pilot.traceSampling=1 --set meshConfig.enableTracing=true # !istioctl-set-without-values
istioctl install --set values.pilot.traceSampling=1 --set profile=minimal
kubectl debug node/ip-10-0-0-1 -it --image=curlimages/curl -- curl -s http://istiod.istio-system:15014/debug/syncz # !command-finds-nothing
kubectl debug node/ip-10-0-0-1 -it --image=curlimages/curl -- curl https://sts.us-east-1.amazonaws.com
istioctl manifest apply --set profile=minimal # !command-removed
