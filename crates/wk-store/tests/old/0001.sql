-- Rows as the first release wrote them. Never change these; add files for later schemas.

INSERT INTO meta (key, value) VALUES
    ('tape', '1');

INSERT INTO chains (chain, safe_height, safe_hash, finalized_height, finalized_hash, changed_at) VALUES
    ('mainnet', 3, X'A4D94D981FF3551BD10FF5FE0BB2622C486783D4B5A1525E7DA6DBC1C768CE4B', 2, X'9B20E206DD8B23BF68CE53968D2C0B5139F80AEBA775FFC35919BAFC5FE9F08F', 1795383364000);

INSERT INTO blocks (chain, height, hash, parent, time, transactions, logs, digest, intake, seen_at) VALUES
    ('mainnet', 1, X'9E787B7E9C7D0DBB6E8A25D7D02A67EBA218D4A34D12768B01C22B67817F1379', X'BC36789E7A1E281436464229828F817D6612F7B477D66591FF96A9E064BCC98A', 1700000012, 2, 3, X'EBF66D356F73337B281E2FBB1249861DEB7AFAB58261D1131CE9150BCA92942A', 'live', 1795383364000),
    ('mainnet', 2, X'9B20E206DD8B23BF68CE53968D2C0B5139F80AEBA775FFC35919BAFC5FE9F08F', X'9E787B7E9C7D0DBB6E8A25D7D02A67EBA218D4A34D12768B01C22B67817F1379', 1700000024, 2, 3, X'E9C7E4EB783397586CE4D66B222A3C23F1444C48DB2CB54A2841B66B6588D158', 'live', 1795383364000),
    ('mainnet', 3, X'A4D94D981FF3551BD10FF5FE0BB2622C486783D4B5A1525E7DA6DBC1C768CE4B', X'9B20E206DD8B23BF68CE53968D2C0B5139F80AEBA775FFC35919BAFC5FE9F08F', 1700000036, 2, 3, X'7A1B13C65B1A4C244A56C11049FC58C20A3D4BCE91D286866FD8D26B882A71BB', 'live', 1795383364000),
    ('mainnet', 4, X'DB72BD605E5058EAB6E5AB7A497B7F7E7A2FC20FB2E37EF7AC1565073555C831', X'A4D94D981FF3551BD10FF5FE0BB2622C486783D4B5A1525E7DA6DBC1C768CE4B', 1700000048, 2, 3, X'A581E5F08ADB11A36B5BFD13EACC6E281BF1A5A021667B5BB39243DB4FB7FBD2', 'live', 1795383364000);

INSERT INTO coverage (chain, from_height, to_height, passed, shortfall, agreed, processed, rescans) VALUES
    ('mainnet', 1, 4, 31, '', 1, 1, 0),
    ('mainnet', 90, 91, 0, 'down', 0, 0, 0);

INSERT INTO findings (seq, id, status, revision, severity, source_kind, source_name, class, asset, deliver, chain, height, block_hash, seen_at, changed_at, body) VALUES
    (1, '007e534fb37a9cf2e3db51cef7ecce68', 'active', 1, 1, 'rule', 'large-withdrawal', 'large_transfer', 'contract/mainnet/vault', 'seen', 'mainnet', 1, X'9E787B7E9C7D0DBB6E8A25D7D02A67EBA218D4A34D12768B01C22B67817F1379', 1795383364000, 1795383364000, '{"v":"1","finding":{"id":"007e534fb37a9cf2e3db51cef7ecce68","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"finding told","evidence":{"name":"told"},"labels":{},"position":{"chain":"mainnet","block":{"height":1,"hash":"0x9e787b7e9c7d0dbb6e8a25d7d02a67eba218d4a34d12768b01c22b67817f1379"},"time":1700000012,"tx":null,"log_index":null},"deliver":"seen","notify":[],"seen_at":1795383364000}}'),
    (2, 'c9b1d2f131c971f74b9adda10a788d67', 'held', 2, 1, 'rule', 'large-withdrawal', 'large_transfer', 'contract/mainnet/vault', 'finalized', 'mainnet', 4, X'DB72BD605E5058EAB6E5AB7A497B7F7E7A2FC20FB2E37EF7AC1565073555C831', 1795383364000, 1795383364000, '{"v":"1","finding":{"id":"c9b1d2f131c971f74b9adda10a788d67","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"finding held","evidence":{"name":"held"},"labels":{},"position":{"chain":"mainnet","block":{"height":4,"hash":"0xdb72bd605e5058eab6e5ab7a497b7f7e7a2fc20fb2e37ef7ac1565073555c831"},"time":1700000048,"tx":null,"log_index":null},"deliver":"finalized","notify":[],"seen_at":1795383364000}}'),
    (3, '7b71036a96d25a4ad9ae6af247463d03', 'retracted', 1, 1, 'rule', 'large-withdrawal', 'large_transfer', 'contract/mainnet/vault', 'seen', 'mainnet', 4, X'498E0E9D3360471F185AFE88EBBC47A72AD7058023BCE0BAFBCA8DCD1B148FD9', 1795383364000, 1795383364000, '{"v":"1","finding":{"id":"7b71036a96d25a4ad9ae6af247463d03","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"finding gone","evidence":{"name":"gone"},"labels":{},"position":{"chain":"mainnet","block":{"height":4,"hash":"0x498e0e9d3360471f185afe88ebbc47a72ad7058023bce0bafbca8dcd1b148fd9"},"time":1700000048,"tx":null,"log_index":null},"deliver":"seen","notify":[],"seen_at":1795383364000}}'),
    (4, 'd2551e9ddd51251ca8608b0e180f5e25', 'active', 1, 2, 'system', 'endpoint_lag', 'endpoint_lag', 'endpoint/mainnet/a', 'seen', 'mainnet', NULL, NULL, 1795383364000, 1795383364000, '{"v":"1","finding":{"id":"d2551e9ddd51251ca8608b0e180f5e25","source":{"kind":"system","name":"endpoint_lag"},"severity":"P2","confidence":100,"class":"endpoint_lag","asset":"endpoint/mainnet/a","title":"a lags","evidence":{},"labels":{},"position":null,"deliver":"seen","notify":[],"seen_at":1795383364000}}');

INSERT INTO conditions (trouble, asset, subject, occurrence, finding, open, raised_at, cleared_at) VALUES
    ('endpoint_lag', 'endpoint/mainnet/a', '', 1, 'd2551e9ddd51251ca8608b0e180f5e25', 1, 1795383364000, NULL);

INSERT INTO outbox (id, finding, revision, kind, receiver, idempotency_key, payload, state, attempts, next_attempt_at, under_way, last_error, created_at, first_attempt_at, settled_at) VALUES
    (1, '007e534fb37a9cf2e3db51cef7ecce68', 1, 'found', 'a', '007e534fb37a9cf2e3db51cef7ecce68-1-found-a', '{"v":"1","notice":{"kind":"found","finding":{"id":"007e534fb37a9cf2e3db51cef7ecce68","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"finding told","evidence":{"name":"told"},"labels":{},"position":{"chain":"mainnet","block":{"height":1,"hash":"0x9e787b7e9c7d0dbb6e8a25d7d02a67eba218d4a34d12768b01c22b67817f1379"},"time":1700000012,"tx":null,"log_index":null},"deliver":"seen","notify":[],"seen_at":1795383364000},"revision":1,"at":1795383364000}}', 'delivered', 1, 1795383424000, 0, NULL, 1795383364000, 1795383364000, 1795383364000),
    (2, '7b71036a96d25a4ad9ae6af247463d03', 1, 'found', 'a', '7b71036a96d25a4ad9ae6af247463d03-1-found-a', '{"v":"1","notice":{"kind":"found","finding":{"id":"7b71036a96d25a4ad9ae6af247463d03","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"finding gone","evidence":{"name":"gone"},"labels":{},"position":{"chain":"mainnet","block":{"height":4,"hash":"0x498e0e9d3360471f185afe88ebbc47a72ad7058023bce0bafbca8dcd1b148fd9"},"time":1700000048,"tx":null,"log_index":null},"deliver":"seen","notify":[],"seen_at":1795383364000},"revision":1,"at":1795383364000}}', 'dropped', 1, 1795383424000, 0, 'answered 404', 1795383364000, 1795383364000, 1795383364000),
    (3, 'd2551e9ddd51251ca8608b0e180f5e25', 1, 'found', 'a', 'd2551e9ddd51251ca8608b0e180f5e25-1-found-a', '{"v":"1","notice":{"kind":"found","finding":{"id":"d2551e9ddd51251ca8608b0e180f5e25","source":{"kind":"system","name":"endpoint_lag"},"severity":"P2","confidence":100,"class":"endpoint_lag","asset":"endpoint/mainnet/a","title":"a lags","evidence":{},"labels":{},"position":null,"deliver":"seen","notify":[],"seen_at":1795383364000},"revision":1,"at":1795383364000}}', 'due', 1, 1795383424000, 1, NULL, 1795383364000, 1795383364000, NULL),
    (4, '7b71036a96d25a4ad9ae6af247463d03', 1, 'retracted', 'a', '7b71036a96d25a4ad9ae6af247463d03-1-retracted-a', '{"v":"1","notice":{"kind":"retracted","finding":{"id":"7b71036a96d25a4ad9ae6af247463d03","source":{"kind":"rule","name":"large-withdrawal"},"severity":"P1","confidence":100,"class":"large_transfer","asset":"contract/mainnet/vault","title":"finding gone","evidence":{"name":"gone"},"labels":{},"position":{"chain":"mainnet","block":{"height":4,"hash":"0x498e0e9d3360471f185afe88ebbc47a72ad7058023bce0bafbca8dcd1b148fd9"},"time":1700000048,"tx":null,"log_index":null},"deliver":"seen","notify":[],"seen_at":1795383364000},"revision":1,"at":1795383364000}}', 'due', 0, 1795383364000, 0, NULL, 1795383364000, NULL, NULL);

INSERT INTO window_entries (rule, chain, key, height, block_hash, ordinal, time, kind, value) VALUES
    ('r', 'mainnet', '0xaa', 2, X'9B20E206DD8B23BF68CE53968D2C0B5139F80AEBA775FFC35919BAFC5FE9F08F', 0, 1700000024, 'state', '{"amount":"0"}'),
    ('r', 'mainnet', '0xaa', 1, X'9E787B7E9C7D0DBB6E8A25D7D02A67EBA218D4A34D12768B01C22B67817F1379', 0, 1700000012, 'match', '{"amount":"0"}');

INSERT INTO implementations (chain, proxy, height, block_hash, implementation) VALUES
    ('mainnet', X'0707070707070707070707070707070707070707', 1, X'9E787B7E9C7D0DBB6E8A25D7D02A67EBA218D4A34D12768B01C22B67817F1379', X'0808080808080808080808080808080808080808');

INSERT INTO rule_errors (rule, count, message, first_at, last_at) VALUES
    ('r', 2, 'division by zero', 1795383364000, 1795383364000);

INSERT INTO tokens (id, name, role, secret_hash, created_at, last_used_at, expires_at, revoked_at) VALUES
    (1, 'grafana', 'viewer', X'00000000000000000000000000000000000000000000000000000000000000AA', 1795383364000, NULL, NULL, NULL);
