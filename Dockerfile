# The image of a Group Manager and of devices: two static binaries, nothing else.
# `make image` builds them into dist/ first; no other image is needed.
FROM scratch
COPY dist/groupmanager dist/member /
# Empty directories of the user that everything runs as; volumes start as copies of them.
COPY --chown=1000:1000 dist/state /state
COPY --chown=1000:1000 dist/state /enrolments
USER 1000:1000
ENV COHORT_CONFIG=/state/groupmanager.yaml
ENTRYPOINT ["/groupmanager"]
